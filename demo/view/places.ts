import { element, show } from './element.ts';

const names: Readonly<Record<string, string>> = {
  indexeddb: 'IndexedDB',
  localstorage: 'localStorage',
  memory: 'memory',
  once: 'IndexedDB, exactly once',
};

/** Where the tabs of this browser keep their place. Each holds a lock that says so, which ends with the tab. */
export class PlacesView {
  readonly #target = element('places');
  readonly #prefix: string;
  #place = '';
  #release: (() => void) | undefined;

  constructor(source: string) {
    this.#prefix = `tidemark-demo-place/${source}/`;
  }

  /** This tab keeps its place there from now on. */
  hold(place: string): void {
    this.#release?.();
    this.#place = place;
    const held = new Promise<void>((resolve) => (this.#release = resolve));
    void navigator.locks?.request(`${this.#prefix}${place}`, { mode: 'shared' }, () => held);
  }

  async draw(): Promise<void> {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    const places = held.flatMap(({ name = '' }) =>
      name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : [],
    );
    const others = [...new Set(places)].filter((place) => place !== this.#place).map((place) => names[place] ?? place);
    const here = names[this.#place] ?? this.#place;
    const isAlone = others.length === 0;
    show(
      this.#target,
      isAlone
        ? ''
        : `Another tab keeps its place elsewhere (${others.join('; ')}) than this one (${here}): each reads for itself.`,
    );
  }
}
