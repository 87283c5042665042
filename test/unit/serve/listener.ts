import type { RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeStream } from 'node:stream/web';
import type { FeedRequest } from 'tidemark/serve';

export type Handler = (request: FeedRequest) => Promise<Response>;

/** A handler for a real server of Node. */
export function listenerOf(handler: Handler): RequestListener {
  return async ({ method = 'GET', url = '/', headers }, answer) => {
    const get = (name: string): string | null => headers[name]?.toString() ?? null;
    const response = await handler({ method, url, headers: { get } });
    answer.writeHead(response.status, Object.fromEntries(response.headers));
    answer.flushHeaders();
    const body = response.body ? Readable.fromWeb(response.body as NodeStream) : [];
    await pipeline(body, answer).catch(() => {});
  };
}
