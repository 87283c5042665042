// A server of one feed, all of whose events are at hand. Tells its port to the process that started it.
import { createServer } from 'node:http';

const count = Number(process.argv[2]);
const events = Array.from({ length: count }, (_, i) => `id: ${i + 1}\ndata: {"n":${i + 1},"text":"hello"}\n\n`);
const bytes = Buffer.from(events.join(''));
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(bytes);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.(typeof address === 'object' ? address?.port : undefined);
});
