// The API whose feeds the Worker reads, as a Worker of its own.

const items = 1000;
const pageSize = 100;
const prices = 400;
/** A connection is dropped after so many events. */
const eventsAConnection = 60;
const encoder = new TextEncoder();
const shippedBefore = new Set<number>();

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case '/invoices':
      case '/rates':
        return Response.json(page(Number(searchParams.get('after') || 0)));
      case '/ship':
        return ship(Number(searchParams.get('n')));
      case '/prices':
        return stream(Number(request.headers.get('last-event-id') ?? 0));
      default:
        return new Response(null, { status: 404 });
    }
  },
};

function page(after: number) {
  const last = Math.min(after + pageSize, items);
  const numbers = Array.from({ length: last - after }, (_, i) => after + i + 1);
  return { items: numbers.map((n) => ({ id: `item ${n}`, cursor: String(n) })), isLast: last === items };
}

/** Of twenty orders one fails the first time. */
function ship(n: number): Response {
  const fails = n % 20 === 7 && !shippedBefore.has(n);
  shippedBefore.add(n);
  return new Response(null, { status: fails ? 503 : 200 });
}

/** Events after the last one, until the connection drops, in the middle of an event. */
function stream(after: number): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const send = async (): Promise<void> => {
    await writer.write(encoder.encode('retry: 50\n\n'));
    const last = Math.min(after + eventsAConnection, prices);
    for (let n = after + 1; n <= last; n++) {
      await writer.write(encoder.encode(`id: ${n}\ndata: ${JSON.stringify({ n })}\n\n`));
    }
    if (last < prices) await writer.write(encoder.encode(`id: ${last + 1}\ndata: {"n"`));
    await writer.close();
  };
  // A reader that goes away ends the stream.
  send().catch(() => {});
  return new Response(readable, { headers: { 'content-type': 'text/event-stream' } });
}
