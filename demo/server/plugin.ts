import { join } from 'node:path';
import type { Plugin, PreviewServer, ViteDevServer } from 'vite';
import { FeedServer } from './http.ts';

/** Serves the demo's feeds beside the page, under `vite` and under `vite preview`. */
export function feedServer(): Plugin {
  // Connections need no closing: Vite destroys every socket when its server closes.
  const serve = ({ config, middlewares }: ViteDevServer | PreviewServer) => {
    const feeds = new FeedServer({ folder: join(config.cacheDir, 'tidemark-demo-feeds') });
    middlewares.use(feeds.handle);
  };
  return { name: 'tidemark-demo-feeds', configureServer: serve, configurePreviewServer: serve };
}
