import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FeedServer } from '../../demo/server/http.ts';
import manifest from '../../package.json' with { type: 'json' };
import { wantedEngines } from '../browsers/find.js';
import { type Browser, open } from '../browsers/tabs.ts';
import { freePort } from '../free-port.ts';
import { listen } from '../listen.ts';
import { findPostgres, startPostgres } from '../postgres/server.ts';
import { type Block, bundle, readBlocks } from './blocks.ts';

const run = promisify(execFile);
const blocks = readBlocks();
const of = (language: string, place: string): Block[] =>
  blocks.filter((block) => block.language === language && block.place === place);

const feeds = new FeedServer({ rate: 200, retryMs: 10 });
let page = '';
const server = createServer((request, response) => {
  if (request.url?.startsWith('/feed')) return feeds.handle(request, response);
  response.writeHead(200, { 'content-type': 'text/html' }).end(page);
});
let origin: string;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-readme-'));
  origin = await listen(server);
});
afterAll(() => {
  feeds.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('every code block of the manual is of a kind that is run here', () => {
  const kinds = [
    'sh ',
    'js lanes',
    'html page',
    'js server',
    'ts app',
    'tsx app',
    'ts browser',
    'tsx browser',
    'ts module-worker',
    'js service-worker',
    'tsx node',
    'ts worker',
    'ts worker-fetch',
    'ts node',
    'ts sqlite',
    'ts postgres',
    'ts vitest',
    'json ',
  ];
  for (const { language, place, page: at, heading } of blocks) {
    expect(kinds, `the block under "${heading}" of ${at}`).toContain(`${language} ${place}`);
  }
});

test('every TypeScript block passes the type check', async () => {
  const compiler = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');
  const checked = run(process.execPath, [compiler, '-p', import.meta.dirname]);
  await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({ stdout: '' });
});

const inPages = [...of('ts', 'browser'), ...of('tsx', 'browser')];

describe.each(inPages)('in a page, the code under "$heading" of $page', (block) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await open(wantedEngines()[0] ?? 'chromium');
  });
  afterAll(() => browser.close());

  test('goes on after a reload with the event after the last', async () => {
    // What the reader is to write: kept over reloads, to be counted.
    const yours = `
      const note = (data) => {
        const event = typeof data === 'string' ? JSON.parse(data) : data;
        localStorage.setItem('seen', (localStorage.getItem('seen') ?? '') + event.n + ' ');
      };
      Object.assign(globalThis, { show: note, showNote: note, showConnection() {} });`;
    page = `<!doctype html><title>A page</title><main></main>${/\bconst output\b/.test(block.code) ? '<output></output>' : ''}<script>${yours}</script><script type="module">${await bundle(block.file, 'browser')}</script>`;
    const tab = await browser.newTab(origin);
    const seen = async (): Promise<number[]> => {
      const text = await tab.eval(() => localStorage.getItem('seen') ?? '');
      return text.split(' ').filter(Boolean).map(Number);
    };
    await expect.poll(async () => (await seen()).length).toBeGreaterThan(100);
    await tab.reload();
    const before = (await seen()).length;
    // What a framework renders follows what is recorded.
    if (/\boutput\b/.test(block.code)) {
      const shown = (): Promise<string> => tab.eval(() => document.querySelector('output')?.textContent ?? '');
      await expect.poll(async () => Number(/_(\d+)$/.exec(await shown())?.[1] ?? 0)).toBeGreaterThan(before);
    }
    await expect.poll(async () => (await seen()).length).toBeGreaterThan(before + 100);
    const numbers = new Set(await seen());
    // Several at once finish in any order: what is still in flight comes a moment later.
    const from = Math.min(...numbers);
    await expect.poll(async () => missing(from, Math.max(...numbers), new Set(await seen()))).toEqual([]);
    await tab.close();
  });
});

function missing(from: number, to: number, seen: ReadonlySet<number>): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((n) => !seen.has(n));
}

describe.each(of('ts', 'worker'))('in workerd, the code under "$heading"', (block) => {
  test('goes on where the last invocation ended', async () => {
    const api = (request: { url: string }): Response => {
      const after = Number(new URL(request.url).searchParams.get('after') || '0');
      return Response.json([1, 2, 3].map((i) => ({ id: `invoice ${after + i}`, cursor: String(after + i) })));
    };
    const worker = new Miniflare({
      modules: true,
      script: await bundle(block.file, 'browser'),
      compatibilityDate: '2026-04-01',
      kvNamespaces: ['OFFSETS', 'DONE'],
      d1Databases: ['DB'],
      ...(block.code.includes('env.PLACES') && {
        durableObjects: { PLACES: { className: 'Places', useSQLite: true } },
      }),
      ...(block.code.includes('env.INVOICES') && {
        durableObjects: { INVOICES: { className: 'Invoices', useSQLite: true } },
      }),
      // Miniflare's own Response is another class of the same shape.
      serviceBindings: { API: api as never },
    });
    try {
      // Miniflare types these by a package of Cloudflare's that is not among ours.
      const kv = (await worker.getKVNamespace('DONE')) as unknown as { list(): Promise<{ keys: unknown[] }> };
      const db = (await worker.getD1Database('DB')) as unknown as D1Database;
      await db.prepare('CREATE TABLE done (id TEXT PRIMARY KEY)').run();
      const done = async (): Promise<number> => {
        if (!block.code.includes('env.DB')) return (await kv.list()).keys.length;
        return Number(await db.prepare('SELECT COUNT(*) AS done FROM done').first('done'));
      };
      for (const expected of [3, 6]) {
        const handlers = (await worker.getWorker()) as unknown as {
          scheduled(event: { cron: string }): Promise<{ outcome: string }>;
        };
        expect((await handlers.scheduled({ cron: '* * * * *' })).outcome).toBe('ok');
        expect(await done()).toBe(expected);
      }
    } finally {
      await worker.dispose();
    }
  });
});

describe.each(of('ts', 'worker-fetch'))('in workerd, the code under "$heading"', (block) => {
  test('serves what was appended after the id of the client', async () => {
    const worker = new Miniflare({
      modules: true,
      script: await bundle(block.file, 'browser'),
      compatibilityDate: '2026-04-01',
      durableObjects: { ORDERS: { className: 'OrderLog', useSQLite: true } },
    });
    try {
      const url = new URL('/orders', await worker.ready);
      const append = (n: number) => fetch(url, { method: 'PUT', body: JSON.stringify({ n }) });
      for (const n of [1, 2]) expect((await append(n)).status).toBe(202);
      const [id = ''] = /(?<=id: )\d+(?=\ndata: \{"n":1\})/.exec(await textUntil(await fetch(url), '{"n":2}')) ?? [];
      const rest = fetch(url, { headers: { 'last-event-id': id } }).then((response) => textUntil(response, '{"n":3}'));
      await append(3);
      expect((await rest).match(/data: .*/g)).toEqual(['data: {"n":2}', 'data: {"n":3}']);
    } finally {
      await worker.dispose();
    }
  });
});

/** The text of an answer until it has what is awaited. */
async function textUntil({ body }: Response, awaited: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(awaited)) break;
  }
  return text;
}

const reads = ({ code }: Block): boolean => code.includes('FEED_URL');

const programs = [...of('ts', 'node'), ...of('tsx', 'node')];

describe.each(programs.filter((block) => !reads(block)))('in Node, the code under "$heading"', (block) => {
  test('runs', async () => {
    const file = join(folder, 'block.mjs');
    writeFileSync(file, await bundle(block.file, 'node'));
    const env = { ...process.env, PORT: String(await freePort()), NODE_ENV: 'production' };
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, env });
    expect(stderr).toBe('');
    // What a line is said to print: console.log(total); // → 370
    const said = [...block.code.matchAll(/^ *console\.log\(.*\); \/\/ → (?<text>.*)$/gm)];
    if (said.length > 0) expect(stdout).toBe(said.map(({ groups }) => `${groups?.text}\n`).join(''));
  });
});

describe.each(programs.filter(reads))('in Node, the code under "$heading"', (block) => {
  test('goes on after a kill with the event after the last', async () => {
    const file = join(folder, 'block.mjs');
    const yours = 'globalThis.save = async (data) => console.log(JSON.parse(data).n);';
    writeFileSync(file, `${yours}\n${await bundle(block.file, 'node')}`);
    const seen: number[] = [];
    for (let round = 1; round <= 3; round++) {
      const child = spawn(process.execPath, [file], {
        cwd: folder,
        env: { ...process.env, FEED_URL: `${origin}/feed?feed=prices` },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const until = seen.length + 100;
      for await (const line of createInterface(child.stdout))
        if (seen.push(Number(line)) === until) child.kill('SIGKILL');
    }
    expect(missing(Math.min(...seen), Math.max(...seen), new Set(seen))).toEqual([]);
  });
});

/** Runs a block twice: the second time what it does is done already. */
async function expectOnce(block: Block, env: Record<string, string> = {}): Promise<void> {
  // Beside the block, where its packages are found.
  const file = block.file.replace(/ts$/, 'mjs');
  writeFileSync(file, await bundle(block.file, 'node'));
  const outputs = block.code.includes('resume(') ? ['600\n', '600\n'] : ['applied\n', 'duplicate\n'];
  for (const stdout of outputs) {
    expect(
      await run(process.execPath, [file], { cwd: folder, env: { ...process.env, NODE_ENV: 'production', ...env } }),
    ).toEqual({
      stdout,
      stderr: '',
    });
  }
}

describe.each(of('ts', 'sqlite'))('with SQLite, the code under "$heading"', (block) => {
  test('applies an event once', () => expectOnce(block));
});

const postgres = findPostgres();
describe.skipIf(!postgres).each(of('ts', 'postgres'))('with PostgreSQL, the code under "$heading"', (block) => {
  test('applies an event once', async () => {
    const database = await startPostgres(postgres ?? '');
    try {
      await expectOnce(block, { DATABASE_URL: database.url });
    } finally {
      await database.stop();
    }
  });
});

// Their tests are this file's own.
for (const { file } of of('ts', 'vitest')) await import(/* @vite-ignore */ file);

describe.each(of('json', ''))('the JSON under "$heading"', ({ code }) => {
  test('is valid', () => void JSON.parse(code));
});

describe.each(of('sh', ''))('the commands under "$heading" of $page', ({ code, page: at }) => {
  const servers = of('js', 'server').filter((block) => block.page === at);
  // What npm itself has, a package that is only run, a program that the same page shows, and where to go.
  const others = [
    'ci',
    'install',
    'create',
    'vite',
    'wrangler',
    'cd',
    'curl http://localhost:8787/__scheduled',
    ...(servers.length > 0 ? ['node server.js'] : []),
  ];
  test('exist', () => {
    for (const line of code.trim().split('\n')) {
      const command = line.replace(/\s+#.*$/, '');
      const script = /^(?:npm run|npm|npx|(?=cd ))\s*(?<script>\S+)/.exec(command)?.groups?.script ?? command;
      expect([...Object.keys(manifest.scripts), ...others]).toContain(script);
    }
  });
});

test('npm start shows the demo', async () => {
  const child = spawn('npm', ['start', '--', '--port', '0', '--host', '127.0.0.1'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  try {
    let url = '';
    for await (const line of createInterface(child.stdout)) {
      // Vite colours the port in the middle of the address.
      url = /http:\/\/[\d.]+:\d+/.exec(line.replace(/\u001b\[\d+m/g, ''))?.[0] ?? '';
      if (url) break;
    }
    expect(await (await fetch(url)).text()).toContain('tidemark');
  } finally {
    if (child.pid) process.kill(-child.pid, 'SIGKILL');
  }
});
