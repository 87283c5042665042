import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Rollup, type ViteDevServer, build, createServer as createVite } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSite } from '../../docs/site/site.ts';
import { findBrowser } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { listen } from '../listen.ts';
import { deadLinks, referencesIn } from './links.ts';

const configFile = join(import.meta.dirname, '../../vite.config.ts');
const demoPages = ['index.html', 'sync/index.html'];
const site = buildSite();
const pages = [...site.files.values()].filter(({ path }) => path.endsWith('.html'));

describe('the manual', () => {
  test('lists every document in docs/index.md', () => {
    expect(site.unlisted).toEqual([]);
  });

  test('has no link to a file that is not there', () => {
    expect(site.broken).toEqual([]);
  });

  test('has no link that leads nowhere on the site', () => {
    expect(pages.flatMap((page) => referencesIn(page).urls).length).toBeGreaterThan(100);
    expect(deadLinks(site.files, demoPages)).toEqual([]);
  });

  test('has no anchor twice in a page', () => {
    const twice = pages.flatMap((page) => {
      const { ids } = referencesIn(page);
      return ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `#${id} in ${page.path}`);
    });
    expect(twice).toEqual([]);
  });

  test('has a title and a description of its own on every page', () => {
    const heads = pages.map(({ path, body }) => ({
      path,
      title: /<title>(?<text>[^<]*)/.exec(String(body))?.groups?.text ?? '',
      description: /<meta name="description" content="(?<text>[^"]*)/.exec(String(body))?.groups?.text ?? '',
    }));
    for (const { path, title, description } of heads) {
      expect(title, path).toContain('tidemark');
      expect(title.length, `${title}, the title of ${path}`).toBeLessThan(120);
      expect(description.length, `${description}, the description of ${path}`).toBeGreaterThan(20);
    }
    for (const key of ['title', 'description'] as const) {
      expect(new Set(heads.map((head) => head[key])).size, key).toBe(heads.length);
    }
  });
});

test('a dead link is found', () => {
  const page = (path: string, body: string) => [path, { path, body, type: 'text/html' }] as const;
  const files = new Map([
    page(
      'docs/index.html',
      '<a href="a/#there"></a><a href="a/#gone"></a><a href="b/"></a><a href="../"></a><img src="c.svg" />',
    ),
    page('docs/a/index.html', '<h2 id="there"></h2><a href="../"></a><a href="https://example.com/"></a>'),
  ]);
  expect(deadLinks(files, ['index.html'])).toEqual(
    ['a/#gone', 'b/', 'c.svg'].map((url) => `${url} in docs/index.html`),
  );
});

test('one build makes one site of the demo and the manual', async () => {
  const result = (await build({
    configFile,
    mode: 'production',
    logLevel: 'error',
    build: { write: false },
  })) as Rollup.RollupOutput;
  const names = result.output.map(({ fileName }) => fileName);
  expect(names).toEqual(expect.arrayContaining([...demoPages, ...site.files.keys()]));
});

describe('npm start', () => {
  let server: ViteDevServer;
  let origin: string;
  beforeAll(async () => {
    server = await createVite({
      configFile,
      mode: 'development',
      logLevel: 'error',
      server: { port: 0, host: '127.0.0.1' },
    });
    await server.listen();
    const address = server.httpServer?.address();
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  });
  afterAll(() => server.close());

  test.each(['/docs', '/docs/', '/docs/reference', '/docs/reference/'])('serves %s beside the demo', async (path) => {
    const response = await fetch(`${origin}${path}`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<article>');
  });

  test('serves the files of the pages', async () => {
    for (const { path, type } of site.files.values()) {
      if (path.endsWith('.html')) continue;
      const response = await fetch(`${origin}/${path}`);
      expect(response.headers.get('content-type'), path).toBe(type);
    }
  });

  test('knows no page that is not there', async () => {
    const response = await fetch(`${origin}/docs/no-such-page/`);
    expect(await response.text()).not.toContain('<article>');
  });
});

describe.skipIf(!findBrowser('chromium'))('in a browser', () => {
  // As strict as a host can be: nothing from elsewhere, and nothing inline.
  const answer = ({ url = '/' }: IncomingMessage, response: ServerResponse): void => {
    const { pathname } = new URL(url, 'http://localhost');
    const path = `${pathname.slice(1)}${pathname.endsWith('/') ? 'index.html' : ''}`;
    const file = site.files.get(path);
    const headers = { 'content-security-policy': "default-src 'self'" };
    response.writeHead(file ? 200 : 404, file ? { ...headers, 'content-type': file.type } : headers).end(file?.body);
  };
  const server = createServer(answer);
  let origin: string;
  let browser: Browser;
  let tab: Tab;
  const complaints: string[] = [];
  beforeAll(async () => {
    origin = await listen(server);
    browser = await open('chromium');
    tab = await browser.newTab(`${origin}/docs/`);
    tab.page?.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    tab.page?.on('request', (request) => request.url().startsWith(origin) || complaints.push(request.url()));
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  const samples = [
    ...new Set([pages[0], pages[1], pages.find(({ path }) => path === 'docs/reference/index.html')]),
  ].map((page) => page?.path.replace('index.html', '') ?? '');

  test.each(samples)('axe finds nothing on %s, light and dark, wide and narrow', async (path) => {
    await tab.goto(`${origin}/${path}`);
    // Of the longest page the beginning: the rest is more of the same, and takes minutes.
    await tab.eval(() =>
      document.querySelectorAll('article > :nth-child(n + 80)').forEach((element) => element.remove()),
    );
    await tab.eval(() =>
      document.querySelectorAll('.headings li:nth-child(n + 20)').forEach((element) => element.remove()),
    );
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1440, 390]) {
        await tab.page?.setViewportSize({ width, height: 900 });
        await tab.page?.emulateMedia({ colorScheme });
        await tab.page?.evaluate(axe.source);
        const { violations } = await tab.eval(async () => {
          const found = await (globalThis as unknown as { axe: typeof axe }).axe.run();
          return { violations: found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} (${nodes.length})`) };
        });
        expect(violations, `${colorScheme}, ${width} px`).toEqual([]);
      }
    }
  });

  test.each(pages.map(({ path }) => path.replace('index.html', '')))(
    '%s does not scroll sideways at 320 px',
    async (path) => {
      await tab.page?.setViewportSize({ width: 320, height: 640 });
      await tab.goto(`${origin}/${path}`);
      expect(await tab.eval(() => document.documentElement.scrollWidth)).toBe(320);
    },
  );

  test('the search finds an option, and leads to where it is explained', async () => {
    const { page } = tab;
    await page?.setViewportSize({ width: 1440, height: 900 });
    await tab.goto(`${origin}/docs/`);
    await page?.fill('#search', 'takeoverAfterMs');
    await page?.click('#results a:has(strong:text("ReaderOptions"))');
    await page?.waitForURL('**/docs/reference/#readeroptions');
  });

  test('on a phone the contents open by their button', async () => {
    const { page } = tab;
    await page?.setViewportSize({ width: 390, height: 800 });
    await tab.goto(`${origin}/docs/`);
    expect(await page?.isVisible('#contents')).toBe(false);
    await page?.click('.menu');
    await page?.click('#contents >> text=API reference');
    await page?.waitForURL('**/docs/reference/');
  });

  test('nothing is asked of other servers, and no policy is broken', () => {
    expect(complaints).toEqual([]);
  });
});
