import { createRequire } from 'node:module';
import type { AxeResults, RunOptions } from 'axe-core';
import { type Browser, type Page, chromium } from 'playwright';
import type { PreviewServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Control } from '../../demo/server/requests.ts';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { serveSite } from './site.ts';

declare const axe: { run(options: RunOptions): Promise<AxeResults> };

/** The least contrast of a text; WCAG asks for 4.5. */
const leastContrast = 5.5;
const widths = [1440, 820, 390, 320];
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let server: PreviewServer;
let origin: string;
let feeds = 0;

describe.runIf(wantedEngines().includes('chromium'))('the demo', () => {
  let browser: Browser;
  beforeAll(async () => {
    ({ server, origin } = await serveSite());
    browser = await chromium.launch(findBrowser('chromium')?.launch);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  async function openPage(width: number, path = '/', query = ''): Promise<Page> {
    const height = width > 800 ? 900 : width > 380 ? 844 : 568;
    const page = await browser.newPage({ viewport: { width, height } });
    await page.goto(`${origin}${path}?feed=looks-${Date.now()}-${feeds++}${query}`);
    return page;
  }

  const schemes = [
    { colorScheme: 'light', forcedColors: 'none' },
    { colorScheme: 'dark', forcedColors: 'none' },
    { colorScheme: 'light', forcedColors: 'active' },
    { colorScheme: 'dark', forcedColors: 'active' },
  ] as const;

  /** Looks at a page as it is, in all colours. */
  async function check(page: Page, view: string): Promise<void> {
    for (const scheme of schemes) {
      // A colour that is on its way to another is neither.
      await page.emulateMedia({ ...scheme, reducedMotion: 'reduce' });
      const name = `${view}, ${scheme.colorScheme}${scheme.forcedColors === 'active' ? ' with forced colours' : ''}`;
      expect(await violations(page), name).toEqual([]);
      if (scheme.forcedColors === 'none') expect(await faintTexts(page, leastContrast), name).toEqual([]);
    }
  }

  test.each(['auto', 'once'])(
    'has no fault that axe finds, and no faint text, with the strategy %s',
    async (strategy) => {
      const page = await openPage(1440, '/', `&strategy=${strategy}`);
      await page.getByTestId('events').getByRole('row').nth(7).waitFor();
      await check(page, strategy);
      await page.close();
    },
  );

  test.each([1440, 320])('has none %i pixels wide either, where everything went wrong', async (width) => {
    const page = await openPage(width, '/', '&strategy=manual&rate=50');
    await shows(page, 'tidemark-processed', (n) => n > 20);
    await page.getByTestId('crash').click();
    await shows(page, 'tidemark-repeated', (n) => n > 0);
    await page.getByTestId('break').click();
    await page.getByTestId('unavailable').click();
    await page.getByTestId('plain-state').getByText('Dead').waitFor();
    await page.getByTestId('tidemark-skipped').getByText('1 left out').waitFor();
    await check(page, 'after a crash');
    await page.close();
  });

  test('has none in the tab that waits, and in one with another store', async () => {
    const context = await browser.newContext();
    const [first, second] = [await context.newPage(), await context.newPage()];
    const address = `${origin}/?feed=looks-${Date.now()}-${feeds++}`;
    await first.goto(`${address}&store=localstorage`);
    await second.goto(`${address}&store=localstorage`);
    await second.getByTestId('events').getByText('other tab').first().waitFor();
    await check(second, 'waiting');
    await first.goto(`${address}&store=memory`);
    await first.getByTestId('places').getByText('Another tab').waitFor();
    await check(first, 'with another store');
    await context.close();
  });

  test('has none on the page that works offline', async () => {
    const page = await openPage(1440, '/sync/', '&rate=20000');
    await page.getByTestId('verdict').getByText('Equal, byte for byte.').waitFor();
    await check(page, 'offline page');
    await page.close();
  });

  test.each(widths)('moves nothing %i pixels wide, whatever happens', async (width) => {
    const page = await openPage(width, '/', '&strategy=manual&rate=20');
    await shows(page, 'tidemark-processed', (n) => n > 9);
    // By the server, since what follows a click by half a second does not count.
    const feed = new URL(page.url()).searchParams.get('feed');
    const controls: Control[] = [
      { action: 'break' },
      { action: 'burst', events: 100 },
      { action: 'unavailable', seconds: 1 },
    ];
    for (const data of controls) await page.request.post(`${origin}/feed/control?feed=${feed}`, { data });
    await page.getByTestId('plain-state').getByText('Dead').waitFor();
    await page.getByTestId('tidemark-skipped').getByText('1 left out').waitFor();
    await shows(page, 'tidemark-processed', (n) => n > 100);
    expect(await page.evaluate(shifts)).toEqual([]);

    await page.getByTestId('crash').click();
    await shows(page, 'tidemark-repeated', (n) => n > 0);
    expect(await page.evaluate(shifts), 'as the page is loaded again').toEqual([]);
    await page.close();
  });

  test.each([390, 320])('has all figures and all that breaks them on one screen %i pixels wide', async (width) => {
    const page = await openPage(width);
    await shows(page, 'tidemark-processed', (n) => n > 0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    const ids = ['plain', 'tidemark'].flatMap((lane) =>
      ['state', 'processed', 'missing', 'repeated', 'silence', 'connections'].map((figure) => `${lane}-${figure}`),
    );
    const buttons = [
      'reload',
      'crash',
      'hang',
      'open-tab',
      'drop',
      'unavailable',
      'silence',
      'break',
      'burst',
      'restart',
    ];
    expect(await page.evaluate(covered, [...ids, ...buttons])).toEqual([]);
    await page.close();
  });
});

/** Waits until a figure is shown. */
async function shows(page: Page, id: string, is: (n: number) => boolean): Promise<void> {
  await expect
    .poll(async () => is(Number((await page.getByTestId(id).innerText()).replaceAll(/[^\d]/g, '') || -1)), {
      message: id,
    })
    .toBe(true);
}

async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ path: axePath });
  const found = await page.evaluate(async () => (await axe.run({ resultTypes: ['violations'] })).violations);
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`),
  );
}

/** Texts that stand out less than that from what is behind them, with their contrast. */
function faintTexts(page: Page, least: number): Promise<string[]> {
  return page.evaluate((contrast) => {
    const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    if (!paint) throw new Error('there is no canvas');
    /** Colours, one over the other, as they are seen. */
    const mixed = (colors: readonly string[]): number[] => {
      paint.clearRect(0, 0, 1, 1);
      for (const color of colors) {
        paint.fillStyle = color;
        paint.fillRect(0, 0, 1, 1);
      }
      return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb: readonly number[]): number => {
      const [r = 0, g = 0, b = 0] = rgb.map((c) => (c <= 10.31475 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = new Set<string>();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const element = node.parentElement;
      if (!element?.checkVisibility({ visibilityProperty: true }) || !node.textContent?.trim()) continue;
      if (['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(element.tagName)) continue;
      const behind: string[] = [];
      for (let at: Element | null = element; at; at = at.parentElement)
        behind.unshift(getComputedStyle(at).backgroundColor);
      // What is behind everything is the canvas of the page, which its body colours.
      const ground = mixed(['Canvas', ...behind]);
      const ink = mixed([`rgb(${ground.join(' ')})`, getComputedStyle(element).color]);
      const [light = 0, dark = 0] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < contrast) faint.add(`${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
    }
    return [...faint];
  }, least);
}

/** What has moved since the page was loaded, without being asked to by a click or a key. */
function shifts(): Promise<string[]> {
  const nameOf = (node?: Node | null) => {
    const element = node instanceof Element ? node : node?.parentElement;
    return element
      ? `${element.tagName}#${element.closest('[id]')?.id} "${node?.textContent?.trim().slice(0, 30)}"`
      : '';
  };
  const placeOf = ({ x, y, width, height }: DOMRectReadOnly) => [x, y, width, height].map(Math.round).join(' ');
  return new Promise((resolve) => {
    const moved: string[] = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        // No lib has the type of a draft.
        const { value, hadRecentInput, sources } = entry as PerformanceEntry & {
          value: number;
          hadRecentInput: boolean;
          sources: { node?: Node | null; previousRect: DOMRectReadOnly; currentRect: DOMRectReadOnly }[];
        };
        if (hadRecentInput) continue;
        const what = sources.map(
          (source) => `${nameOf(source.node)} from ${placeOf(source.previousRect)} to ${placeOf(source.currentRect)}`,
        );
        moved.push(`${value.toFixed(5)}: ${what.join(', ')}`);
      }
    }).observe({ type: 'layout-shift', buffered: true });
    // What was buffered comes in a task of its own, before the next two frames are over.
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(moved)));
  });
}

/** Which of the elements cannot be seen, or are behind another. */
function covered(ids: string[]): string[] {
  return ids.filter((id) => {
    const element = document.getElementById(id);
    if (!element) return true;
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return !(at && (element.contains(at) || at.contains(element)));
  });
}
