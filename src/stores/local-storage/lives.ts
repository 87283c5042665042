import { newId } from '../../tabs/presence.ts';
import type { Keys, Slot, TextStorage } from './keys.ts';

/** How long, in ms, a life may go without saying again in the directory that it lives. */
const refreshMs = 3_600_000;
/** After how many ms without that a life has ended, where there are no Web Locks to ask. */
const silenceMs = 86_400_000;

interface Directory {
  /** Another one after each clearAll. */
  readonly generation: string;
  /** When each life last said that it lives, in ms since the Unix epoch; 0: it has ended. */
  readonly lives: ReadonlyMap<string, number>;
}

/**
 * Knows whose keys there may be, so that the keys of a source can be found without looking at all keys.
 *
 * One key, the directory, says which lives there are. It is the only key that tabs share, and localStorage has no way to
 * change a shared key safely: of two tabs that write it at once, one loses what it wrote. So it is a hint, and no more:
 * - Each life looks before each of its writes whether it is listed, and lists itself again where it was lost.
 * - A look at all keys finds lives that are not listed. Every store object takes one before its first read, `getAll`
 *   always does, and `get` where the last is older than two seconds; a commit does not.
 * So what a lost entry costs is time: for at most that long a tab may not see what another has committed, as where the
 * browser passes on a write late. Nothing is ever removed because an entry is missing.
 *
 * A life that ends by itself says so as the last thing it writes. Writes of one tab arrive in the order in which they were
 * made: whoever sees that has seen all that it wrote, and may fold it away at once.
 */
export class Lives {
  readonly #keys: Keys;
  readonly #storage: () => TextStorage;
  #found = new Set<string>();
  /** The lives of this store object: it sees what it wrote, whatever becomes of the directory. */
  readonly #own = new Set<string>();
  /** The generation of a directory that this tab makes: where several tabs make the first at once, it is the same. */
  #next = 'first';
  #lookedAt: number | undefined;
  #text: string | null = null;
  #directory: Directory | undefined;

  constructor(keys: Keys, storage: () => TextStorage) {
    this.#keys = keys;
    this.#storage = storage;
  }

  /** Tells what was written before a clearAll from what is written after it; undefined: nothing is. */
  get generation(): string | undefined {
    return this.#read()?.generation;
  }

  /** @param maxAgeMs how old the last look at all keys may be */
  list(maxAgeMs = Infinity): Set<string> {
    if (this.#lookedAt === undefined || performance.now() - this.#lookedAt > maxAgeMs) this.look();
    return new Set([...(this.#read()?.lives.keys() ?? []), ...this.#found, ...this.#own]);
  }

  /** Looks at all keys. */
  look(): Slot[] {
    const slots = this.#keys.find(this.#storage());
    this.#found = new Set(slots.map(({ life }) => life));
    this.#lookedAt = performance.now();
    return slots;
  }

  /** After a time in which others may have done anything. */
  forget(): void {
    this.#lookedAt = undefined;
  }

  /** Everything was removed: what is told of the time before is void. */
  cleared(): void {
    this.#next = newId();
  }

  /** Lists a life of this store object, where it is not listed. */
  enter(life: string): void {
    this.#own.add(life);
    const now = Date.now();
    const said = this.#read()?.lives.get(life);
    if (said === undefined || Math.abs(now - said) > refreshMs) this.#write((lives) => lives.set(life, now));
  }

  /** Says that a life will never write again. */
  end(life: string): void {
    if (this.#read()?.lives.has(life)) this.#write((lives) => lives.set(life, 0));
  }

  /** Lists the lives that were found by their keys alone, and strikes out those that have ended and left none. */
  tidy(found: Iterable<string>, gone: Iterable<string>): void {
    const listed = this.#read()?.lives ?? new Map<string, number>();
    const missing = [...found].filter((life) => !listed.has(life));
    const extra = [...gone].filter((life) => listed.has(life));
    if (missing.length + extra.length === 0) return;
    this.#write((lives) => {
      for (const life of missing) lives.set(life, Date.now());
      for (const life of extra) lives.delete(life);
    });
  }

  /** Whether a life has said itself that it has ended. */
  saysEnded(life: string): boolean {
    return this.#read()?.lives.get(life) === 0;
  }

  /** Whether a life has not said for a day that it lives. */
  isSilent(life: string): boolean {
    const said = this.#read()?.lives.get(life);
    return said !== undefined && Date.now() - said > silenceMs;
  }

  #read(): Directory | undefined {
    const text = this.#storage().getItem(this.#keys.directory);
    if (text !== this.#text) {
      this.#text = text;
      this.#directory = parse(text);
    }
    return this.#directory;
  }

  #write(change: (lives: Map<string, number>) => void): void {
    const { generation = this.#next, lives = [] } = this.#read() ?? {};
    const changed = new Map(lives);
    change(changed);
    this.#storage().setItem(this.#keys.directory, JSON.stringify({ generation, lives: Object.fromEntries(changed) }));
  }
}

/** What is no directory is none: all that it says can be found without it. */
function parse(text: string | null): Directory | undefined {
  try {
    const { generation, lives } = JSON.parse(text ?? '');
    const entries = Object.entries(lives);
    if (typeof generation !== 'string' || entries.some(([, said]) => typeof said !== 'number')) return undefined;
    return { generation, lives: new Map(entries as [string, number][]) };
  } catch {
    return undefined;
  }
}
