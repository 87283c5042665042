import { join } from 'node:path';
import { type PreviewServer, build, preview } from 'vite';

const configFile = join(import.meta.dirname, '../../vite.config.ts');
const quiet = { configFile, mode: 'production', logLevel: 'error' } as const;

/** Builds the site, once for all tests. */
export default async function setup(): Promise<void> {
  await build(quiet);
}

/** Serves the site as it was built. @param port 0: one that is free */
export async function serveSite(port = 0): Promise<{ readonly server: PreviewServer; readonly origin: string }> {
  const server = await preview({ ...quiet, preview: { port, strictPort: port !== 0, host: '127.0.0.1' } });
  const address = server.httpServer.address();
  return { server, origin: `http://localhost:${typeof address === 'object' ? address?.port : ''}` };
}
