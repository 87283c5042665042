import { once } from 'node:events';
import type { Server } from 'node:net';

/** Has a server listen on a port of its own. @returns its origin, which browsers take for a secure context */
export async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://localhost:${address.port}`;
}
