import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Chromium, openChromium } from '../browsers/chromium.ts';
import { wantedEngines } from '../browsers/find.js';
import { seesProcesses } from '../browsers/processes.ts';
import { type Browser, open } from '../browsers/tabs.ts';
import { type FeedSite, type ReaderTab, Readers, openFeedSite } from './readers.ts';
import { printTable } from './table.ts';

const elsewhere = 'elsewhere.test';
const figures: string[][] = [];
// Each has many steps, all of which take their time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

let site: FeedSite;
beforeAll(async () => {
  site = await openFeedSite();
});
afterAll(async () => {
  await site.close();
  const head = [
    'until another tab reads',
    'after the reading tab',
    'store',
    'times',
    'median',
    'longest',
    'events repeated',
  ];
  printTable(head, figures);
});

/** How a tab is put to sleep and woken up. */
interface Sleep {
  readonly cause: string;
  readonly kind: 'indexeddb' | 'local-storage';
  /** Whether the feed stands still at that moment. */
  readonly rests?: boolean;
  stop(reader: ReaderTab): unknown;
  go(reader: ReaderTab): unknown;
}

describe.each(wantedEngines())('in %s', (engine) => {
  let browser: Browser;
  let chromium: Chromium | undefined;
  beforeAll(async () => {
    if (engine === 'chromium') chromium = await openChromium([`--host-resolver-rules=MAP ${elsewhere} 127.0.0.1`]);
    browser = chromium ?? (await open(engine));
    // WebDriver's session ends with the last tab.
    await browser.newTab(site.here);
  });
  afterAll(() => browser?.close());

  const tell = (cause: string, times: readonly number[], readers: Readers) => {
    const sorted = [...times].sort((a, b) => a - b);
    const [median = NaN, longest = NaN] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    const repeated = readers.repeated();
    const ms = (time: number) => `${time.toFixed(0)} ms`;
    figures.push([engine, cause, readers.kind, String(times.length), ms(median), ms(longest), repeated.join(' ')]);
    expect(longest).toBeLessThan(15_000);
  };
  const timeUntil = async (readers: Readers, next: ReaderTab, cause: () => unknown): Promise<number> => {
    const first = readers.firstBy(next);
    const started = performance.now();
    await cause();
    return (await first).at - started;
  };

  const gone: Record<string, (reader: ReaderTab) => unknown> = {
    'is closed': ({ tab }) => tab.close(),
    'goes to another site': ({ tab }) => tab.goto(site.elsewhere),
    ...(seesProcesses && { crashes: ({ pid }) => process.kill(pid, 'SIGKILL') }),
  };

  test.each(Object.entries(gone))('a tab that waits reads on when the one that reads %s', async (cause, leave) => {
    const own = cause === 'crashes';
    // This driver gives the browser up when a page crashes.
    const last = own && engine === 'webkit' ? await open(engine) : undefined;
    const readers = new Readers(site, last ?? browser, `gone-${engine}-${Object.keys(gone).indexOf(cause)}`);
    const times: number[] = [];
    try {
      let reading = await readers.join({ own });
      while (times.length < (last ? 1 : 3)) {
        const waiting = await readers.join({ waiting: 1, own });
        await readers.reads(reading);
        times.push(await timeUntil(readers, waiting, () => leave(reading)));
        reading = waiting;
      }
      await readers.reads(reading);
      if (!last) await reading.tab.close();
    } finally {
      await last?.close();
    }
    tell(cause, times, readers);
  });

  const stopping = {
    stop: ({ pid }: ReaderTab) => process.kill(pid, 'SIGSTOP'),
    go: ({ pid }: ReaderTab) => process.kill(pid, 'SIGCONT'),
  };
  const sleep: Sleep[] = [
    ...(seesProcesses
      ? [
          { cause: 'is stopped', kind: 'local-storage', ...stopping } as const,
          // In the middle of a transaction a stopped page would keep all others from the database.
          { cause: 'is stopped between two events', kind: 'indexeddb', rests: true, ...stopping } as const,
        ]
      : []),
    ...(engine === 'chromium'
      ? [
          {
            cause: 'is frozen',
            kind: 'indexeddb',
            stop: ({ tab }: ReaderTab) => chromium?.freeze(tab),
            go: ({ tab }: ReaderTab) => chromium?.thaw(tab),
          } as const,
        ]
      : []),
  ];
  const missing = [
    ...(engine === 'chromium' ? [] : ['when the browser freezes a tab: this driver cannot have it do so']),
    ...(seesProcesses
      ? []
      : ['when the process of a tab crashes or is stopped: this system does not tell which it is']),
  ];
  test.skipIf(missing.length > 0).each(missing)('%s', () => {});

  describe.each(sleep)('when a tab with $kind $cause', ({ cause, kind, rests, stop, go }) => {
    const name = `${engine}-${cause.replaceAll(' ', '-')}`;

    test('while it reads, one that waits takes over; awake again the first commits nothing, and waits in its turn', async () => {
      const readers = new Readers(site, browser, `asleep-${name}`, kind);
      const times: number[] = [];
      let reading = await readers.join({ own: true });
      let waiting = await readers.join({ waiting: 1, own: true });
      expect(reading.pid === 0 || reading.pid !== waiting.pid).toBe(true);
      for (let round = 0; round < 2; round++) {
        await readers.reads(reading);
        if (rests) await readers.rest(reading);
        const sleeps = async () => {
          await stop(reading);
          if (rests) await readers.goOn();
        };
        times.push(await timeUntil(readers, waiting, sleeps));
        await readers.reads(waiting);
        const woken = Date.now();
        await go(reading);
        await readers.queues(reading, 1);
        await readers.reads(waiting);
        expect((await reading.state()).role).toBe('waiting');
        const counted = async () =>
          (await reading.state()).records.filter(({ at, outcome }) => at >= woken && outcome !== 'fenced');
        await expect.poll(counted).toEqual([]);
        [reading, waiting] = [waiting, reading];
      }
      await timeUntil(readers, waiting, () => reading.tab.close());
      await readers.isReader(waiting);
      await waiting.tab.close();
      tell(cause, times, readers);
    });

    // What does not read has no transaction to be stopped in.
    if (rests) return;
    test('while it waits for its turn, and is given it, the third tab reads all the same', async () => {
      const readers = new Readers(site, browser, `granted-${name}`, kind);
      const first = await readers.join();
      const second = await readers.join({ waiting: 1, own: true });
      const third = await readers.join({ waiting: 2 });
      await readers.reads(first);
      await stop(second);
      const time = await timeUntil(readers, third, () => first.tab.close());
      await readers.reads(third);
      await go(second);
      await readers.queues(second, 1);
      expect(await second.state()).toMatchObject({ role: 'waiting', processed: [], records: [] });
      await timeUntil(readers, second, () => third.tab.close());
      await second.tab.close();
      tell(`is closed, and the next ${cause}`, [time], readers);
    });
  });

  test('tabs read in the order in which they came', async () => {
    const readers = new Readers(site, browser, `order-${engine}`);
    const first = await readers.join();
    const second = await readers.join({ waiting: 1 });
    const third = await readers.join({ waiting: 2 });
    await readers.reads(first);
    await timeUntil(readers, second, () => first.tab.close());
    await readers.reads(second);
    expect(await third.state()).toMatchObject({ role: 'waiting', processed: [] });
    await timeUntil(readers, third, () => second.tab.close());
    await third.tab.close();
    expect(readers.repeated()).toHaveLength(2);
  });

  // To Chromium alone a name can be given that is another machine's, which makes the page an insecure one.
  test.each([false, ...(engine === 'chromium' ? [true] : [])])(
    'a tab without Web Locks says that it cannot read alone, and leaves the one that does alone (insecure: %s)',
    async (insecure) => {
      const feed = `lockless-${engine}-${insecure}`;
      const readers = new Readers(site, browser, feed);
      const reading = await readers.join();
      const tab = await browser.newTab(insecure ? site.here.replace('localhost', elsewhere) : site.here);
      const options = { kind: 'indexeddb', feed, tab: 'lockless', takeoverAfterMs: 1000, reports: true } as const;
      const state = () => tab.eval(() => window.reader.state());
      if (!insecure) await tab.eval(() => window.reader.loseLocks());
      await tab.eval((how) => window.reader.start(how), options);
      await expect.poll(async () => (await state()).error).toMatch(/^UnsupportedError: .*Web Locks.*secure context/);
      await readers.reads(reading);
      const { role, processed, records } = await state();
      expect([role ?? 'none', processed, records]).toEqual(['none', [], []]);
      expect(readers.repeated()).toEqual([]);
      await reading.tab.close();
      await tab.close();
    },
  );
});
