import type { IDBPDatabase } from 'idb';
import { Offset, type TrackerEvent, type FeedState, type FeedStateDetail } from 'tidemark';
import { crash, hang, prepareToCrash } from './crash.ts';
import { type Kept, type Lanes, openLanes } from './database.ts';
import { History } from './history.ts';
import { plainCode, tidemarkCode } from './lanes/code.ts';
import { PlainLane, type PlainObserver } from './lanes/plain.ts';
import { TidemarkLane, type TidemarkObserver, numberOf, placeOf } from './lanes/tidemark.ts';
import { Narrator } from './narrator.ts';
import { ServerView } from './server-view.ts';
import type { Reading } from './server/readings.ts';
import { type Settings, addressOf, newFeed, settingsOf, stores, strategies } from './settings.ts';
import { Tally } from './tally.ts';
import { Chart } from './view/chart.ts';
import { showCode } from './view/code.ts';
import { makeControls } from './view/controls.ts';
import { element, show } from './view/element.ts';
import { makeEvents } from './view/events.ts';
import { type LaneFigures, makeFigures } from './view/figures.ts';
import { makeJournal } from './view/journal.ts';
import { LaneState, verdictOnPlain, verdictOnTidemark } from './view/states.ts';
import { PlacesView } from './view/places.ts';
import { TabsView } from './view/tabs.ts';
import { Tape } from './view/tape.ts';

const sampleMs = 250;
const refreshMs = 1000;
/** An event that the server has had for so long, and a lane has not, is missing; in ms. */
const missingAfterMs = 2000;

prepareToCrash();

/** The page: two lanes over one feed, and what is seen of them. */
class Page implements TidemarkObserver {
  readonly db: IDBPDatabase<Lanes>;
  lane: TidemarkLane;
  readonly plain: PlainLane;
  readonly tallies: { plain?: Tally | undefined; tidemark?: Tally | undefined } = {};
  #settings: Settings = settingsOf(location.search);
  readonly #tab = tabId();
  readonly #server = new ServerView(this.#settings.feed, this.#settings.rate);
  readonly #history = new History(this.#settings.feed);
  readonly #narrator = new Narrator(this.#history);
  readonly #chart = new Chart(element('chart'), this.#history);
  readonly #states = { plain: new LaneState('plain'), tidemark: new LaneState('tidemark') };
  readonly #tapes = { plain: new Tape(element('plain-tape')), tidemark: new Tape(element('tidemark-tape')) };
  readonly #tabs = new TabsView();
  readonly #places = new PlacesView(this.#settings.feed);
  readonly #events = makeEvents();
  readonly #drawJournal = makeJournal();
  readonly #drawFigures = makeFigures();
  #detail: FeedStateDetail = { attempt: 0 };
  #retryAt: number | undefined;
  #isSampling = false;

  constructor(db: IDBPDatabase<Lanes>) {
    this.db = db;
    const observer: PlainObserver = {
      state: (state) => {
        this.#states.plain.set(state);
        this.#narrator.plain(state);
      },
      shown: () => {},
      began: (n) => this.#plainBegan(n),
    };
    this.plain = new PlainLane(this.#settings.feed, this.#urlOf('plain'), db, observer);
    this.lane = this.#makeLane();
  }

  start(): void {
    this.#narrator.loaded();
    // A page that is loaded knows of no place.
    this.#plainStood(0, performance.timeOrigin);
    this.#places.hold(placeOf(this.#settings));
    this.#show();
    this.#read();
    void this.plain.start();
    void this.#refresh();
    setInterval(() => void this.#sample(), sampleMs);
    setInterval(() => void this.#refresh(), refreshMs);
    addEventListener('pagehide', () => this.#history.save());
  }

  state(state: FeedState, detail: FeedStateDetail): void {
    this.#detail = detail;
    this.#retryAt = detail.retryInMs === undefined ? undefined : performance.now() + detail.retryInMs;
    this.#states.tidemark.set(state);
    this.#narrator.state(state, detail);
    element<HTMLButtonElement>('start').disabled = !(state === 'closed' && detail.error);
  }

  listed(events: readonly Kept[]): void {
    this.#events.clear();
    for (const { reading, tab } of events) this.#events.add({ reading, isRemote: tab !== this.#tab });
  }

  shown(reading: Reading, origin: 'local' | 'remote'): void {
    this.#events.add({ reading, isRemote: origin === 'remote' });
  }

  kept(n: number, before: number | undefined): void {
    this.#narrator.kept(n, before);
  }

  tracked(event: TrackerEvent): void {
    if (event.type === 'reset' || event.type === 'cleared') this.#events.clear();
    this.#narrator.tracked(event);
  }

  get #role(): 'reader' | 'waiting' | undefined {
    return this.lane.tracker.status(this.lane.source).role;
  }

  #urlOf(lane: 'plain' | 'tidemark'): string {
    const { feed, rate } = this.#settings;
    return `/feed?${new URLSearchParams({ feed, ...(rate !== undefined && { rate }), lane })}`;
  }

  #makeLane(): TidemarkLane {
    return new TidemarkLane(this.#settings, this.#urlOf('tidemark'), this.#tab, this.db, this);
  }

  #read(): void {
    this.lane.read().catch((error: unknown) => this.#failed(error));
  }

  /** The line falls back, before it catches up again. */
  #plainBegan(n: number): void {
    this.#plainStood(n, Date.now());
    this.#narrator.plainBegan(n, (this.tallies.plain?.last ?? -1) >= n);
  }

  #plainStood(n: number, at: number): void {
    const last = this.#history.samples.at(-1);
    if (last) this.#history.add({ ...last, at: Math.max(at, last.at), plain: n });
  }

  /** What has been stored by now, by whichever tab: all that the figures go by. */
  async #sample(): Promise<void> {
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      const [plain, tidemark] = await Promise.all([
        Tally.read(this.db, this.plain.key),
        Tally.read(this.db, this.lane.key),
      ]);
      Object.assign(this.tallies, { plain, tidemark });
      this.#record();
      this.#draw();
      if (document.visibilityState === 'visible') this.#paint();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isSampling = false;
    }
  }

  #record(): void {
    const status = this.lane.tracker.status(this.lane.source);
    const committed = numberOf(status.committed) ?? null;
    const recorded = this.#role === 'waiting' ? committed : (numberOf(status.recorded) ?? committed);
    const head = this.#server.head();
    this.#history.add({
      at: Date.now(),
      // The server was asked a moment ago; what has been read since is there for certain.
      head: head === undefined ? null : Math.max(head, recorded ?? 0, this.plain.position ?? 0),
      plain: this.plain.position ?? null,
      recorded,
      committed,
    });
  }

  #draw(): void {
    const figures = { plain: this.#figuresOf('plain'), tidemark: this.#figuresOf('tidemark') };
    this.#drawFigures(figures);
    this.#states.plain.say(verdictOnPlain(this.plain.state, figures.plain));
    const { state } = this.#states.tidemark;
    if (state !== 'full') {
      const retryInMs = this.#retryAt === undefined ? undefined : this.#retryAt - performance.now();
      const detail = { ...this.#detail, ...(retryInMs !== undefined && { retryInMs }) };
      this.#states.tidemark.say(verdictOnTidemark(state, detail, this.#role, figures.tidemark));
    }
    this.#events.draw();
    this.#drawJournal(this.#history.marks);
    const { recorded, committed } = this.#history.samples.at(-1) ?? {};
    const pending = Math.max(0, (recorded ?? -1) - (committed ?? -1));
    show(element('pending'), `${pending} ${pending === 1 ? 'event' : 'events'} not committed yet`);
  }

  #paint(): void {
    const { earliest = 0 } = this.#server.status ?? {};
    const range = { from: earliest, until: this.#history.samples.at(-1)?.head ?? -1, due: this.#due };
    this.#tapes.plain.draw(this.#tallyOf('plain'), range);
    this.#tapes.tidemark.draw(this.#tallyOf('tidemark'), range);
    this.#chart.draw();
  }

  /** What was counted of the log that the server has now. */
  #tallyOf(lane: 'plain' | 'tidemark'): Tally | undefined {
    const tally = this.tallies[lane];
    const generation = this.#server.status?.generation;
    return generation === undefined || tally?.generation === generation ? tally : undefined;
  }

  /** The newest event that every lane should have processed by now. */
  get #due(): number {
    const due = this.#history.headAt(Date.now() - missingAfterMs);
    const head = this.#server.status?.head;
    // A log that has begun anew since has fewer.
    return due === undefined || head === undefined ? -1 : Math.min(due, head);
  }

  #figuresOf(name: 'plain' | 'tidemark'): LaneFigures {
    const tally = this.#tallyOf(name);
    const { status } = this.#server;
    const until = this.#due;
    const from = tally?.first ?? status?.earliest ?? 0;
    const { heardAt } = name === 'plain' ? this.plain : this.lane;
    return {
      processed: tally?.processed ?? 0,
      missing: status && (tally ? tally.missing(Math.min(from, until + 1), until) : Math.max(0, until - from + 1)),
      skipped: tally?.skipped ?? 0,
      repeated: tally?.repeated ?? 0,
      silenceMs: heardAt === undefined ? undefined : performance.now() - heardAt,
      connections: status && (status.lanes[name] ?? 0),
    };
  }

  /** What only asking tells: the server, and the other tabs. */
  async #refresh(): Promise<void> {
    this.#history.save();
    await this.#server.refresh();
    await this.#tabs.draw(this.lane.source, this.#role);
    await this.#places.draw();
    await this.plain.start();
    this.#narrator.role(this.#role);
    this.#show();
  }

  #failed(error: unknown): void {
    this.#narrator.note(error instanceof Error ? error.message : String(error));
  }

  readonly #showChosen = makeControls({
    reload: () => location.reload(),
    crash: () => {
      this.#narrator.note('Crashed this tab: nothing was committed on the way out.', 'crash');
      this.#history.save();
      crash();
    },
    hang: () => {
      this.#narrator.note('This tab hung for 12 s.', 'hang');
      this.#history.save();
      // The button is seen to be pressed first.
      requestAnimationFrame(() => setTimeout(hang));
    },
    startOver: () => location.assign(addressOf({ feed: newFeed() })),
    choose: async (what, value) => {
      history.replaceState(null, '', addressOf({ ...(what === 'store' && this.#usualStrategy()), [what]: value }));
      this.#settings = settingsOf(location.search);
      this.#show();
      if (what === 'rate') await this.#server.control({ action: 'rate', rate: Number(value) });
      else await this.#reopen(what);
    },
    disturb: async (control, { text, label }) => {
      this.#narrator.note(text, label);
      await this.#server.control(control);
    },
    reset: async (to) => {
      this.#narrator.resetting(Offset[to]);
      await this.lane.tracker.reset(this.lane.source, Offset[to]);
    },
    commit: async () => {
      const { tracker, source } = this.lane;
      const outcome = await tracker.commit(source);
      this.#narrator.commit(outcome, tracker.status(source).committed);
    },
    readOn: () => this.#read(),
    failed: (error) => this.#failed(error),
  });

  /** Only IndexedDB can do "exactly once". */
  #usualStrategy(): { strategy?: string } {
    return this.#settings.strategy === 'once' ? { strategy: 'auto' } : {};
  }

  #show(): void {
    const { store, strategy } = this.#settings;
    this.#showChosen({ store, strategy, rate: String(this.#server.status?.rate) });
    showCode('plain-code', plainCode(this.#urlOf('plain')));
    showCode('tidemark-code', tidemarkCode(this.#settings, this.lane.way, this.#urlOf('tidemark')));
  }

  async #reopen(what: 'store' | 'strategy'): Promise<void> {
    await this.lane.close();
    const { label } = what === 'store' ? stores[this.#settings.store] : strategies[this.#settings.strategy];
    this.#narrator.note(`The ${what} is now ${label}.`);
    this.tallies.tidemark = undefined;
    this.lane = this.#makeLane();
    this.#places.hold(placeOf(this.#settings));
    this.#show();
    this.#read();
  }
}

/** This tab, also after a reload. */
function tabId(): string {
  const key = 'tidemark-demo-tab';
  try {
    const id = sessionStorage.getItem(key) ?? Math.random().toString(36).slice(2, 8);
    sessionStorage.setItem(key, id);
    return id;
  } catch {
    return Math.random().toString(36).slice(2, 8);
  }
}

const page = new Page(await openLanes());
page.start();

/**
 * For tests and for the console:
 *
 *     tidemarkDemo.tracker.status(tidemarkDemo.source)    where the tracker stands
 *     await tidemarkDemo.tally('plain')                   what was counted, from what is stored; or of 'tidemark'
 *
 * The address takes ?feed=, ?store=indexeddb|localstorage|memory, ?strategy=auto|periodic|manual|once and, for a feed that
 * does not exist yet, ?rate= in events a second.
 */
const handle = {
  get tracker() {
    return page.lane.tracker;
  },
  get source() {
    return page.lane.source;
  },
  async tally(name: 'plain' | 'tidemark') {
    const tally = await Tally.read(page.db, page[name === 'plain' ? 'plain' : 'lane'].key);
    if (!tally) return undefined;
    const { run, generation, first, last, processed, repeated, skipped } = tally;
    return { run, generation, first, last, processed, repeated, skipped, missing: tally.missing(first, last) };
  },
};
export type TidemarkDemo = typeof handle;
Object.assign(globalThis, { tidemarkDemo: handle });
