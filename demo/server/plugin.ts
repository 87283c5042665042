import { join } from 'node:path';
import type { Plugin, PreviewServer, ViteDevServer } from 'vite';
import { ChangeServer } from './change-server.ts';
import { FeedServer } from './http.ts';

/** Serves the demo's feeds beside the page, under `vite` and under `vite preview`. */
export function feedServer(): Plugin {
  // Connections need no closing: Vite destroys every socket when its server closes.
  const serve = ({ config, middlewares }: ViteDevServer | PreviewServer) => {
    const feeds = new FeedServer({ folder: join(config.cacheDir, 'tidemark-demo-feeds') });
    const changes = new ChangeServer(join(config.cacheDir, 'tidemark-demo-changes'));
    middlewares.use(feeds.handle);
    middlewares.use(changes.handle);
  };
  return { name: 'tidemark-demo-feeds', configureServer: serve, configurePreviewServer: serve };
}
