import {
  type Batch,
  type Checkpoint,
  type Offset,
  type OffsetStore,
  type StoreOptions,
  beginEpoch,
  join,
} from '../../../src/index.ts';

/** A sound store in which a test breaks one thing. What is stored is in `disk`, by the id that it was opened with. */
export class Breakable implements OffsetStore {
  capabilities: OffsetStore['capabilities'] = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'tabs',
  };
  readonly compare: StoreOptions['compare'];
  disk: Map<string, Checkpoint>;

  constructor(disk: Map<string, Checkpoint>, compare: StoreOptions['compare']) {
    this.disk = disk;
    this.compare = compare;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.disk.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return new Map(this.disk);
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const stands = new Map<string, Checkpoint>();
    for (const [source, incoming] of batch) {
      const checkpoint = this.join(this.disk.get(source), incoming, source);
      stands.set(source, checkpoint);
      this.disk.set(source, checkpoint);
    }
    return stands;
  }

  join(stored: Checkpoint | undefined, incoming: Checkpoint, source: string): Checkpoint {
    return join(stored, incoming, source, this.compare);
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    const begun = beginEpoch(this.disk.get(source), at);
    this.disk.set(source, begun);
    return begun;
  }

  async clearAll(): Promise<void> {
    this.disk.clear();
  }

  async close(): Promise<void> {}

  commitOnHide(batch: Batch): void {
    void this.commit(batch);
  }
}

const never = 'a commit never moves a source back';
const epochs = 'a higher epoch wins, whatever the offset';
const tombstones = 'a tombstone stands, and is listed';
const kinds = 'every kind of checkpoint comes back as it was committed';
const ranks = 'opaque customs are ordered by rank';
const compares = 'customs are ordered by compare where the store has one';
const batches = 'a batch of many sources is stored whole';
const names = 'any string is a source name';
const overlaps = 'commits that overlap end at the highest';
const joins = 'any sequence of commits is the join of all of them';
const clears = 'clearAll removes everything, also what would hold a later epoch back';
const reopens = 'what was committed is there when the store is opened again';
const shares = 'two open stores on the same data never take each other back';
const hides = 'what is saved while the page goes away is joined by the next reader';
const hands = 'what the store hands out is not what it keeps';
const unknown = 'an unknown source has no checkpoint';
const begins = 'begin starts a higher epoch at an offset, as a tombstone, or where the source stands';
const races = 'no two that begin an epoch at once begin the same, and a fence moves nothing';
const carries = 'a commit that races with begin is of the old epoch, or carried over';
const carriesHidden = 'what is saved while the page goes away is carried over by begin';
const feeds = 'a feed id is kept with the offset that it goes with';
const closes = 'closing twice is no error';

export const broken: readonly [string, wanted: readonly string[], (store: Breakable) => void][] = [
  ['nothing', [], () => {}],
  [
    'the last write wins',
    [never, epochs, tombstones, ranks, compares, overlaps, joins, shares, hides],
    (store) => {
      store.join = (_, incoming) => incoming;
    },
  ],
  [
    'epochs are ignored',
    [epochs, tombstones, joins],
    (store) => {
      store.join = (stored, incoming, source) =>
        join(stored && { ...stored, epoch: 0 }, { ...incoming, epoch: 0 }, source, store.compare).offset ===
        incoming.offset
          ? incoming
          : (stored ?? incoming);
    },
  ],
  [
    'ranks are ignored',
    [ranks],
    (store) => {
      store.join = (stored, incoming, source) =>
        join(stored && { ...stored, rank: 0 }, { ...incoming, rank: 0 }, source, store.compare).offset ===
        incoming.offset
          ? incoming
          : (stored ?? incoming);
    },
  ],
  [
    'epochs are counted up by one',
    [begins, races],
    (store) => {
      store.begin = async (source, at) => {
        const stored = store.disk.get(source);
        await undefined;
        const begun = { ...beginEpoch(stored, at), epoch: (stored?.epoch ?? 0) + 1 };
        store.disk.set(source, begun);
        return begun;
      };
    },
  ],
  [
    'begin is two steps',
    [carries],
    (store) => {
      store.begin = async (source, at) => {
        const begun = beginEpoch(await store.get(source), at);
        await undefined;
        store.disk.set(source, begun);
        return begun;
      };
    },
  ],
  [
    'what a page saves as it goes away is lost',
    [hides, carriesHidden],
    (store) => {
      store.commitOnHide = () => {};
    },
  ],
  [
    'feed ids are dropped',
    [feeds],
    (store) => {
      const { commit } = store;
      store.commit = (batch) =>
        commit.call(store, new Map([...batch].map(([source, { feed: _feed, ...rest }]) => [source, rest])));
    },
  ],
  [
    'compare is ignored',
    [compares],
    (store) => {
      store.join = join;
    },
  ],
  [
    'tombstones are forgotten',
    [tombstones, kinds],
    (store) => {
      const { commit } = store;
      store.commit = async (batch) => {
        const stands = await commit.call(store, batch);
        for (const [source, { offset }] of stands) if (!offset) store.disk.delete(source);
        return stands;
      };
    },
  ],
  [
    'tombstones are not listed',
    [tombstones],
    (store) => {
      store.getAll = async () => new Map([...store.disk].filter(([, { offset }]) => offset));
    },
  ],
  ['a bigint becomes a number', [kinds, never], changing((offset) => JSON.parse(stringify(offset)) as Offset)],
  [
    'a time loses its milliseconds',
    [kinds],
    changing((offset) =>
      offset.kind === 'timestamp'
        ? { kind: 'timestamp', value: new Date(Math.floor(offset.value.getTime() / 1000) * 1000) }
        : offset,
    ),
  ],
  [
    'a lone surrogate is replaced',
    [kinds],
    changing((offset) =>
      offset.kind === 'custom'
        ? { kind: 'custom', value: new TextDecoder().decode(new TextEncoder().encode(offset.value)) }
        : offset,
    ),
  ],
  [
    'the rank is lost',
    [kinds],
    (store) => {
      const { get } = store;
      store.get = async (source) => {
        const found = await get.call(store, source);
        return found && { ...found, rank: 0 };
      };
    },
  ],
  ['sources are keys of an object', [names], renaming((source) => (source === '__proto__' ? undefined : source))],
  ['an empty name is no name', [names], renaming((source) => source || undefined)],
  ['names are cut', [names], renaming((source) => source.slice(0, 512))],
  ['names are trimmed', [names], renaming((source) => source.trim())],
  [
    'names are made well-formed',
    [names],
    renaming((source) => new TextDecoder().decode(new TextEncoder().encode(source))),
  ],
  [
    'clearAll does nothing',
    [clears],
    (store) => {
      store.clearAll = async () => {};
    },
  ],
  [
    'clearAll leaves tombstones',
    [clears],
    (store) => {
      store.clearAll = async () => {
        for (const [source, { epoch }] of store.disk) {
          store.disk.set(source, { epoch: epoch + 1, rank: 0, offset: undefined, committedAt: 0 });
        }
      };
    },
  ],
  [
    'only the first of a batch is stored',
    [batches, names],
    (store) => {
      const { commit } = store;
      store.commit = (batch) => commit.call(store, new Map([...batch].slice(0, 1)));
    },
  ],
  [
    'commit answers what came in, not what stands',
    [never, epochs, tombstones],
    (store) => {
      const { commit } = store;
      store.commit = async (batch) => {
        await commit.call(store, batch);
        return new Map(batch);
      };
    },
  ],
  [
    'what is handed out is what is kept',
    [hands],
    (store) => {
      store.getAll = async () => store.disk;
    },
  ],
  [
    'an unknown source reads as a tombstone',
    [unknown],
    (store) => {
      const { get } = store;
      store.get = async (source) =>
        (await get.call(store, source)) ?? { epoch: 0, rank: 0, offset: undefined, committedAt: 0 };
    },
  ],
  [
    'reading and writing are two steps',
    [overlaps, shares],
    (store) => {
      store.commit = async (batch) => {
        const read = new Map(store.disk);
        await new Promise((resolve) => setTimeout(resolve));
        const stands = new Map<string, Checkpoint>();
        for (const [source, incoming] of batch) stands.set(source, store.join(read.get(source), incoming, source));
        for (const [source, checkpoint] of stands) store.disk.set(source, checkpoint);
        return stands;
      };
    },
  ],
  [
    'what is stored is gone with the process',
    [reopens],
    (store) => {
      store.disk = new Map();
      store.capabilities = { ...store.capabilities, shared: 'none' };
      store.commitOnHide = undefined as never;
    },
  ],
  [
    'what is shared is cached',
    [shares],
    (store) => {
      const cache = new Map<string, Checkpoint>();
      const { commit, get } = store;
      store.get = async (source) => {
        const found = cache.get(source) ?? (await get.call(store, source));
        if (found) cache.set(source, found);
        return found;
      };
      store.commit = async (batch) => {
        const stands = await commit.call(store, batch);
        for (const [source, checkpoint] of stands) cache.set(source, checkpoint);
        return stands;
      };
    },
  ],
  [
    'a page that goes away saves nothing',
    [hides],
    (store) => {
      store.commitOnHide = () => {};
    },
  ],
  [
    'a page that goes away overwrites',
    [hides],
    (store) => {
      store.commitOnHide = (batch) => batch.forEach((checkpoint, source) => store.disk.set(source, checkpoint));
    },
  ],
  [
    'it closes once',
    [closes],
    (store) => {
      let closed = false;
      store.close = async () => {
        if (closed) throw new Error('closed already');
        closed = true;
      };
    },
  ],
];

/** Breaks what happens to an offset on its way to the disk. */
function changing(change: (offset: Offset) => Offset): (store: Breakable) => void {
  return (store) => {
    const { commit } = store;
    store.commit = async (batch) => {
      const stands = await commit.call(store, batch);
      for (const [source, checkpoint] of stands) {
        store.disk.set(source, { ...checkpoint, offset: checkpoint.offset && change(checkpoint.offset) });
      }
      return stands;
    };
  };
}

/** Breaks what becomes of a source's name; undefined: it is dropped. */
function renaming(rename: (source: string) => string | undefined): (store: Breakable) => void {
  return (store) => {
    const { commit, get } = store;
    const under = <T>(entries: Iterable<readonly [string, T]>): Map<string, T> =>
      new Map(
        [...entries].flatMap(([source, value]) =>
          [rename(source)].filter((name) => name !== undefined).map((name) => [name, value] as const),
        ),
      );
    store.get = (source) => get.call(store, rename(source) ?? '\u0000none');
    store.commit = async (batch) => {
      await commit.call(store, under(batch));
      return new Map(batch);
    };
  };
}

function stringify(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner));
}
