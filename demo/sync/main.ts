import type { FeedState, FeedStateDetail } from 'tidemark';
import { element } from '../view/element.ts';
import { TabsView } from '../view/tabs.ts';
import { openBook, readBook } from './database.ts';
import { OfflineSwitch } from './offline.ts';
import { Pull } from './pull.ts';
import { type Copy, addChanges, askServer, copyOf } from './server.ts';
import { showCopies, showError, showState } from './view.ts';

const askEveryMs = 1000;
/** The book is read again at most this often, in ms. */
const readEveryMs = 100;

const query = new URLSearchParams(location.search);
const feed = /^[\w-]{1,64}$/.exec(query.get('feed') ?? '')?.[0] ?? 'demo';
const rate = /^\d{1,7}$/.exec(query.get('rate') ?? '')?.[0] ?? '2000';
const name = `tidemark-sync-${feed}`;

/** The page: a copy of the server's book, and what is seen of both. */
class Page {
  readonly pull: Pull;
  readonly #opening = openBook(name);
  readonly #switch = new OfflineSwitch((offline) => this.#switched(offline));
  readonly #tabs = new TabsView();
  #state: [FeedState, FeedStateDetail] = ['connecting', { attempt: 0 }];
  #local: Copy | undefined;
  #server: Copy | undefined;
  #reading = false;
  #stale = false;

  constructor() {
    this.pull = new Pull(name, () => this.#opening, `/changes?${new URLSearchParams({ feed, rate })}`, {
      state: (...state) => this.#show(state),
      // Each tab reads what any of them has stored.
      tracked: ({ type }) => void (/committed|reset|fenced|cleared/.test(type) && this.#read()),
    });
  }

  start(): void {
    const on = (id: string, act: () => unknown) =>
      element(id).addEventListener('click', () => void Promise.resolve(act()).catch(showError));
    on('offline', () => this.#switch.set(!this.#switch.offline));
    on('reload', () => location.reload());
    on('restart', () => this.pull.restart());
    on('add', async () => {
      await addChanges(feed, 100);
      await this.#ask();
    });
    element('open-tab').setAttribute('href', location.href);
    if (query.has('offline')) this.#switch.set(true);
    else this.#switched(this.#switch.offline);
    this.#read();
    void this.#ask();
    setInterval(() => void this.#ask(), askEveryMs);
  }

  #switched(offline: boolean): void {
    this.#show(this.#state);
    if (offline) this.pull.disconnect();
    else this.pull.connect().catch((error: unknown) => this.#show(['closed', { attempt: 0, error }]));
  }

  #show(state: [FeedState, FeedStateDetail]): void {
    this.#state = state;
    showState(...state, this.#switch.offline);
    void this.#tabs.draw(this.pull.source, this.pull.tracker.status(this.pull.source).role);
  }

  #read(): void {
    this.#stale = true;
    if (!this.#reading) void this.#readAll().catch(showError);
  }

  async #readAll(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        this.#local = await copyOf(await readBook(await this.#opening));
        this.#draw();
        await new Promise((resolve) => setTimeout(resolve, readEveryMs));
      }
    } finally {
      this.#reading = false;
    }
  }

  async #ask(): Promise<void> {
    this.#server = await askServer(feed);
    this.#show(this.#state);
    this.#draw();
  }

  #draw(): void {
    if (this.#local) showCopies(this.#local, this.#server);
  }
}

const page = new Page();
page.start();

/**
 * For tests and for the console: `tidemarkSync.pull.tracker.status('changes')`. The address takes ?feed=, ?rate= in
 * changes a second, and ?offline, which begins with the switch on.
 */
const handle = { pull: page.pull, database: name };
export type TidemarkSync = typeof handle;
Object.assign(globalThis, { tidemarkSync: handle });
