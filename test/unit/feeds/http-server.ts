import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

/** A real HTTP server on a port of its own; `requests` are the paths that were asked for. */
export async function serveHttp(answer: (request: IncomingMessage, response: ServerResponse, url: URL) => unknown) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    requests.push(`${url.pathname}${url.search}`);
    void answer(request, response, url);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${address.port}`, requests, server, close };
}

/** The same until the test that starts it has ended. */
export async function serveForTest(...args: Parameters<typeof serveHttp>) {
  const server = await serveHttp(...args);
  onTestFinished(server.close);
  return server;
}
