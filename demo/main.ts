import { Offset, type TrackerEvent, type FeedState, type FeedStateDetail } from 'tidemark';
import { History } from './history.ts';
import { ProcessedLog, type Run } from './log.ts';
import { Narrator } from './narrator.ts';
import { ServerView } from './server-view.ts';
import type { Reading } from './server/readings.ts';
import { type Observer, Session, numberOf } from './session.ts';
import { type Settings, addressOf, settingsOf, stores, strategies } from './settings.ts';
import { Chart } from './view/chart.ts';
import { ConnectionView } from './view/connection.ts';
import { makeControls } from './view/controls.ts';
import { element } from './view/element.ts';
import { makeEvents } from './view/events.ts';
import { makeFigures } from './view/figures.ts';
import { perFrame } from './view/frame.ts';
import { makeJournal } from './view/journal.ts';
import { TabsView } from './view/tabs.ts';

const sampleMs = 250;
const refreshMs = 1000;

/** The page: a session with the feed, and what is seen of it. */
class Page implements Observer {
  readonly log = new ProcessedLog();
  session: Session;
  #settings: Settings = settingsOf(location.search);
  readonly #server = new ServerView(this.#settings.feed, this.#settings.rate);
  readonly #history = new History(this.#settings.feed);
  readonly #narrator = new Narrator(this.#history);
  readonly #chart = new Chart(element('chart'), this.#history);
  readonly #connection = new ConnectionView();
  readonly #tabs = new TabsView();
  readonly #events = makeEvents();
  readonly #drawJournal = makeJournal();
  readonly #drawFigures = makeFigures();
  readonly #frame = perFrame(() => this.#draw());
  #state: [FeedState, FeedStateDetail] = ['connecting', { attempt: 0 }];
  #run: Run | undefined;
  /** What another tab has committed since the last sample. */
  #remote: number | undefined;

  constructor() {
    this.session = new Session(this.#settings, this.log, this);
  }

  start(): void {
    this.#narrator.loaded();
    this.#show();
    this.#read();
    void this.#refresh();
    setInterval(() => this.#sample(), sampleMs);
    setInterval(() => void this.#refresh(), refreshMs);
    addEventListener('pagehide', () => this.#history.save());
    this.log.prune().catch((error: unknown) => this.#failed(error));
  }

  processed(reading: Reading, before: number | undefined, run: Run): void {
    this.#run = run;
    this.#narrator.processed(reading.n, before);
    this.#events.add(reading);
    this.#frame();
  }

  state(state: FeedState, detail: FeedStateDetail): void {
    this.#state = [state, detail];
    this.#narrator.role(this.#role);
    this.#narrator.state(state, detail);
    element('start').hidden = !(state === 'closed' && detail.error);
    this.#showState();
  }

  expired(): void {
    this.#narrator.expired();
  }

  tracked(event: TrackerEvent): void {
    this.#narrator.tracked(event);
    if (event.type === 'committed' && event.origin === 'remote') this.#remote = numberOf(event.offset);
    this.#frame();
  }

  get #role(): 'reader' | 'waiting' | undefined {
    return this.session.tracker.status(this.session.source).role;
  }

  #read(): void {
    this.session.read().catch((error: unknown) => this.#failed(error));
  }

  #showState(): void {
    this.#connection.set(...this.#state, this.#role);
    this.#frame();
  }

  #draw(): void {
    const { recorded, committed } = this.session.tracker.status(this.session.source);
    const head = Math.max(this.#server.head() ?? -1, numberOf(recorded ?? committed) ?? -1);
    this.#drawFigures({ head: head < 0 ? undefined : head, recorded, committed, run: this.#run });
    this.#drawJournal(this.#history.marks);
  }

  #sample(): void {
    const status = this.session.tracker.status(this.session.source);
    const committed = numberOf(status.committed) ?? null;
    const recorded = this.#role === 'waiting' ? committed : (numberOf(status.recorded) ?? committed);
    const head = this.#server.head();
    this.#history.add({
      at: Date.now(),
      // The server was asked a moment ago; what has been read since is there for certain.
      head: head === undefined ? null : Math.max(head, recorded ?? 0),
      recorded,
      committed,
      remote: this.#remote ?? null,
    });
    this.#remote = undefined;
    this.#connection.draw();
    if (document.visibilityState === 'hidden') return;
    this.#events.draw(this.#role === 'waiting');
    this.#chart.draw();
    this.#frame();
  }

  /** What only asking tells: the server, the other tabs, and the log that another tab may write. */
  async #refresh(): Promise<void> {
    this.#history.save();
    await this.#server.refresh();
    const { source } = this.session;
    const generation = this.#server.status?.generation;
    if (generation && (this.#role === 'waiting' || !this.#run)) {
      this.#run = (await this.session.lastRun(generation)) ?? this.#run;
    }
    await this.#tabs.draw(source, this.#role);
    this.#narrator.role(this.#role);
    this.#show();
    this.#showState();
  }

  #failed(error: unknown): void {
    this.#narrator.mark('note', error instanceof Error ? error.message : String(error));
    this.#frame();
  }

  readonly #showChosen = makeControls({
    choose: async (what, value) => {
      history.replaceState(null, '', addressOf({ [what]: value }));
      this.#settings = settingsOf(location.search);
      this.#show();
      if (what === 'rate') await this.#server.control({ action: 'rate', rate: Number(value) });
      else await this.#reopen(what);
    },
    disturb: (control) => this.#server.control(control),
    reset: async (to) => {
      this.#narrator.resetting(Offset[to]);
      await this.session.tracker.reset(this.session.source, Offset[to]);
    },
    commit: async () => {
      const { tracker, source } = this.session;
      const outcome = await tracker.commit(source);
      this.#narrator.commit(outcome, tracker.status(source).committed);
      this.#frame();
    },
    readOn: () => this.#read(),
    failed: (error) => this.#failed(error),
  });

  #show(): void {
    const { store, strategy } = this.#settings;
    this.#showChosen({ store, strategy, rate: String(this.#server.status?.rate) });
  }

  async #reopen(what: 'store' | 'strategy'): Promise<void> {
    await this.session.close();
    const { label } = what === 'store' ? stores[this.#settings.store] : strategies[this.#settings.strategy];
    this.#narrator.mark('note', `The ${what} is now ${label}.`);
    this.#run = undefined;
    this.session = new Session(this.#settings, this.log, this);
    this.#read();
  }
}

const page = new Page();
page.start();

/**
 * For tests and for the console:
 *
 *     tidemarkDemo.tracker.status(tidemarkDemo.source)    where the tracker stands
 *     await tidemarkDemo.log.runs()                       what was counted, the latest run last
 *     await tidemarkDemo.log.audit(run)                   the same, counted anew from the single events
 *
 * The address takes ?feed=, ?store=indexeddb|localstorage|memory, ?strategy=auto|periodic|manual and, for a feed that
 * does not exist yet, ?rate= in events a second.
 */
const handle = {
  get tracker() {
    return page.session.tracker;
  },
  get source() {
    return page.session.source;
  },
  log: page.log,
};
export type TidemarkDemo = typeof handle;
Object.assign(globalThis, { tidemarkDemo: handle });
