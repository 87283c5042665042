// What a tab does beside another: it hears of events, or sends them, one after the other. An event is sent once the other tab
// has heard of the one before, so that nothing waits for a timer, which tabs in the background have few of.
import { openDB } from 'idb';
import { Offset, OffsetTracker, resume } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';

/** In ms, on one clock for all tabs. */
const now = () => performance.timeOrigin + performance.now();

/** Each pair of tabs has sources and channels of its own. */
const own = location.search;

/** When each event was sent, or heard of, here. @type {number[]} */
const times = [];
let last = 0;

const answers = new BroadcastChannel(`answers${own}`);
/** @type {((n: number) => void) | undefined} */
let answered;
answers.onmessage = ({ data }) => answered?.(data);

/** @param {number} n */
function hear(n) {
  times[n] = now();
  answers.postMessage(n);
}

/** Sends so many events. @param {number} count @param {(n: number) => unknown} send */
async function sendAll(count, send) {
  for (const end = last + count; last < end;) {
    const n = ++last;
    const heard = new Promise((resolve) => {
      answered = (which) => which === n && resolve(undefined);
    });
    times[n] = now();
    await send(n);
    await heard;
  }
}

const channel = new BroadcastChannel(`bare${own}`);

/** Hears what is posted on a bare channel. */
async function hearBare() {
  channel.onmessage = ({ data }) => hear(data);
}

/** A tracker that knows its source. */
async function openTracker() {
  const tracker = new OffsetTracker(new IndexedDBOffsetStore(), { resetPolicy: () => Offset.sequence(0) });
  await tracker.read(own);
  return tracker;
}

async function hearCommitted() {
  const tracker = await openTracker();
  tracker.subscribe(({ type, source, offset }) => {
    if (type === 'committed' && source === own && offset?.kind === 'sequence') hear(Number(offset.value));
  });
}

/** Shows what one of the tabs reads. @param {(from: Offset) => AsyncIterable<import('tidemark').FeedItem<number>>} feed @param {(n: number, origin: string) => void} show */
async function view(feed, show) {
  const tracker = new OffsetTracker(new IndexedDBOffsetStore(), { resetPolicy: () => Offset.sequence(0) });
  resume(tracker, own, feed, {
    exclusive: true,
    view: ({ data }, { origin }) => show(data, origin),
  }).catch((error) => console.error(error));
  await until(tracker, own, (role) => role !== undefined);
}

/** @param {OffsetTracker} tracker @param {string} source @param {(role: string | undefined) => boolean} fits */
async function until(tracker, source, fits) {
  await new Promise((resolve) => {
    const look = () => fits(tracker.status(source).role) && resolve(undefined);
    tracker.subscribe(look);
    look();
  });
}

/** A feed of what is sent here. */
function openSource() {
  /** @type {ReadableStreamDefaultController<number> | undefined} */
  let controller;
  const stream = new ReadableStream({ start: (given) => void (controller = given) });
  async function* feed() {
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield { offset: Offset.sequence(value), data: value };
    }
  }
  return { feed, send: (/** @type {number} */ n) => controller?.enqueue(n) };
}

/** By side: what the tab that hears does first, then the other, which gives how to send. */
const sides = {
  bare: { hears: hearBare, sends: async () => (/** @type {number} */ n) => channel.postMessage(n) },
  'by hand': {
    hears: hearBare,
    sends: async () => {
      const db = await openDB('by hand', 1, { upgrade: (made) => void made.createObjectStore('offsets') });
      return async (/** @type {number} */ n) => {
        const tx = db.transaction('offsets', 'readwrite', { durability: 'relaxed' });
        void tx.store.put(n, 'orders');
        tx.commit();
        await tx.done;
        channel.postMessage(n);
      };
    },
  },
  record: {
    hears: hearCommitted,
    sends: async () => {
      const tracker = await openTracker();
      return (/** @type {number} */ n) => tracker.record(own, Offset.sequence(n));
    },
  },
  committed: {
    hears: hearCommitted,
    sends: async () => {
      const tracker = await openTracker();
      return async (/** @type {number} */ n) => {
        await tracker.record(own, Offset.sequence(n));
        times[n] = now();
      };
    },
  },
  view: {
    hears: () => view(openSource().feed, (n, origin) => void (origin === 'remote' && hear(n))),
    sends: async () => {
      const { feed, send } = openSource();
      await view(feed, () => {});
      return send;
    },
  },
};

/** @type {((n: number) => unknown) | undefined} */
let send;

/** The moment at which this tab got its turn, by the clock of all tabs. @type {number | undefined} */
let turned;

export const pair = {
  async hear(/** @type {keyof typeof sides} */ side) {
    await sides[side].hears();
  },

  async prepare(/** @type {keyof typeof sides} */ side) {
    send = await sides[side].sends();
  },

  /** @param {number} count */
  async send(count) {
    if (send) await sendAll(count, send);
  },

  times: () => times,

  /** Takes a turn, or waits for it, by a lock or by `resume`. @param {'lock' | 'resume'} how */
  queue(how) {
    const take = () => void (turned ??= now());
    if (how === 'lock') {
      void navigator.locks.request(own, () => {
        take();
        return new Promise(() => {});
      });
      return;
    }
    const tracker = new OffsetTracker(new IndexedDBOffsetStore());
    async function* feed() {
      yield { offset: Offset.sequence(Date.now()), data: 1 };
      await new Promise(() => {});
    }
    resume(tracker, own, feed, { exclusive: true, handler: take }).catch((error) => console.error(error));
  },

  turned: () => turned,

  async waiting() {
    const { pending = [] } = await navigator.locks.query();
    return pending.length > 0;
  },
};
Object.assign(globalThis, { pair });
