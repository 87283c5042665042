import { readFileSync } from 'node:fs';
import { type IncomingMessage, type RequestListener, createServer } from 'node:http';
import { resolve } from 'node:path';
import { rolldown } from 'rolldown';

/** The page that every tab of these tests shows, served at two origins. */
export interface Site {
  /** Both are secure contexts; to a browser they are different origins, and different sites. */
  readonly here: string;
  readonly elsewhere: string;
  /** What pages reported, by POST to /report, in order; each is answered with what this resolves with. */
  onReport: ((report: unknown) => unknown) | undefined;
  close(): Promise<void>;
}

/** @param more answers what is not the page, its script or a report */
export async function openSite(more?: RequestListener): Promise<Site> {
  const html = readFileSync(resolve(import.meta.dirname, 'page/index.html'));
  const script = await bundle();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/page.js') {
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(script);
    } else if (pathname === '/report') {
      const answer = await site.onReport?.(JSON.parse(await textOf(request)));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? null));
    } else if (more && pathname.startsWith('/feed')) {
      more(request, response);
    } else {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const site: Site = {
    here: `http://localhost:${port}/`,
    elsewhere: `http://127.0.0.1:${port}/`,
    onReport: undefined,
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
  return site;
}

/** As one classic script, so that a page which has loaded has also run it. */
async function bundle(): Promise<string> {
  const root = resolve(import.meta.dirname, '../..');
  const build = await rolldown({
    input: resolve(import.meta.dirname, 'page/page.ts'),
    cwd: root,
    tsconfig: resolve(root, 'tsconfig.json'),
    platform: 'browser',
  });
  const { output } = await build.generate({ format: 'iife' });
  await build.close();
  return output[0].code;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}
