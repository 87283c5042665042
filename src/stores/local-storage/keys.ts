/** What the store needs of a Storage. */
export interface TextStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A key that holds a checkpoint. */
export interface Slot {
  readonly key: string;
  /** Whose key it is: only this life raises it. */
  readonly life: string;
  /** Undefined where the key names none. */
  readonly source: string | undefined;
}

/** The names of a store's keys. JSON keeps names apart, and is well-formed even for a lone surrogate. */
export class Keys {
  /** What all keys of the store begin with. */
  readonly prefix: string;
  /** The key that says which lives there are. */
  readonly directory: string;

  constructor(name: string) {
    this.prefix = `tidemark/1/${JSON.stringify(name)}/`;
    this.directory = `${this.prefix}lives`;
  }

  of(life: string, source: string): string {
    return `${this.prefix}${life}/${JSON.stringify(source)}`;
  }

  /** All keys that hold a checkpoint. It looks at every key of the origin. */
  find(storage: TextStorage): Slot[] {
    return Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '')
      .filter((key) => key.startsWith(this.prefix) && key !== this.directory)
      .map((key) => {
        const [life = '', ...rest] = key.slice(this.prefix.length).split('/');
        return { key, life, source: parseSource(rest.join('/')) };
      });
  }
}

function parseSource(text: string): string | undefined {
  try {
    const source: unknown = JSON.parse(text);
    return typeof source === 'string' ? source : undefined;
  } catch {
    return undefined;
  }
}
