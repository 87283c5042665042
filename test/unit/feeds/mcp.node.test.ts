import { StreamableHTTPServerTransport, type EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { InMemoryOffsetStore, OffsetTracker, resume, sse } from 'tidemark';
import { afterEach, expect, test } from 'vitest';
import { serveHttp } from './http-server.ts';

/** The events of all streams, in order, as a server of the protocol keeps them. */
class Events implements EventStore {
  readonly #events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return String(this.#events.push({ streamId, message }));
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const streamId = this.#events[Number(lastEventId) - 1]?.streamId ?? '';
    for (const [i, event] of this.#events.entries()) {
      // What primes a stream is no message.
      const isMessage = 'jsonrpc' in event.message;
      if (i >= Number(lastEventId) && event.streamId === streamId && isMessage)
        await send(String(i + 1), event.message);
    }
    return streamId;
  }
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server of the Model Context Protocol, with a session that is initialized. */
async function serve() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => 'session-1',
    eventStore: new Events(),
    retryInterval: 1,
  });
  const initialized = {
    protocolVersion: '2025-11-25',
    capabilities: { logging: {} },
    serverInfo: { name: 'a server', version: '1.0.0' },
  };
  transport.onmessage = (message) => {
    if ('id' in message) void transport.send({ jsonrpc: '2.0', id: message.id ?? 0, result: initialized });
  };
  const ids: unknown[] = [];
  const { url, close } = await serveHttp((request, response) => {
    if (request.method === 'GET') ids.push(request.headers['last-event-id']);
    return transport.handleRequest(request, response);
  });
  closing.push(() => transport.close(), close);
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a test', version: '1.0.0' } };
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  await answer.text();
  const headers = {
    'mcp-session-id': answer.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-11-25',
  };
  const say = (n: number) =>
    transport.send({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: n } });
  return { url, headers, ids, say, drop: () => transport.closeStandaloneSSEStream() };
}

test('messages of an MCP server are recorded once they were handled, and read on after a drop', async () => {
  const { url, headers, ids, say, drop } = await serve();
  const store = new InMemoryOffsetStore();
  const parse = (text: string): number => JSON.parse(text).params.data;
  const feed = sse(url, { headers, parse, earliest: '' });
  const read = async (until: number, each: (data: number) => unknown): Promise<number[]> => {
    const seen: number[] = [];
    const swift = { minDelayMs: 0, maxDelayMs: 0 };
    for await (const { data } of resume(new OffsetTracker(store), 'mcp', feed, swift)) {
      seen.push(data);
      if (data === until) break;
      await each(data);
    }
    return seen;
  };

  const reading = read(4, async (data) => {
    // Sent while nobody is connected, so that it has to be replayed.
    if (data === 2) drop();
    await say(data + 1);
  });
  await expect.poll(() => ids.length).toBe(1);
  await say(1);
  expect(await reading).toEqual([1, 2, 3, 4]);
  expect(ids).toHaveLength(2);
  expect(ids[1]).toBeDefined();

  // 4 was not handled to its end: it comes again, with what comes after it.
  drop();
  expect(await read(4, () => {})).toEqual([4]);
});
