import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import type { Connect, Plugin, ViteDevServer } from 'vite';
import type { Site } from './site.ts';

const root = resolve(import.meta.dirname, '../..');

/** Serves the manual under /docs/ beside the demo, and builds it into the same site. */
export function manual(): Plugin {
  return {
    name: 'tidemark-manual',
    configureServer: serve,
    async generateBundle() {
      for (const { path, body } of (await build()).files.values()) {
        this.emitFile({ type: 'asset', fileName: path, source: body });
      }
    },
  };
}

/** Loaded only where the manual is wanted: tests start this configuration too. */
async function build(): Promise<Site> {
  const { buildSite } = await import('./site.ts');
  return buildSite(root);
}

function serve({ middlewares, watcher, ws, transformIndexHtml }: ViteDevServer): void {
  let site: Promise<Site> | undefined;
  watcher.add([resolve(root, 'docs'), resolve(root, 'README.md')]);
  watcher.on('all', (_, file) => {
    if (!/\.(?:md|svg|png|css)$|site\.js$/.test(file)) return;
    site = undefined;
    ws.send({ type: 'full-reload' });
  });
  const answer = async (pathname: string, response: ServerResponse): Promise<boolean> => {
    const { files } = await (site ??= build());
    const path = decodeURIComponent(pathname.slice(1));
    const isFolder = path.endsWith('/');
    if (!isFolder && files.has(`${path}/index.html`)) {
      response.writeHead(302, { location: `${pathname}/` }).end();
      return true;
    }
    const file = files.get(isFolder ? `${path}index.html` : path);
    if (!file) return false;
    const body = isFolder ? await transformIndexHtml(pathname, String(file.body)) : file.body;
    response.writeHead(200, { 'content-type': file.type, 'cache-control': 'no-cache' }).end(body);
    return true;
  };
  const handle = async (request: IncomingMessage, response: ServerResponse, next: Connect.NextFunction) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    try {
      if (!/^\/docs(?:\/|$)/.test(pathname) || !(await answer(pathname, response))) next();
    } catch (error) {
      site = undefined;
      next(error);
    }
  };
  middlewares.use((request, response, next) => void handle(request, response, next));
}
