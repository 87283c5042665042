import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from '../free-port.ts';
import { sendSignal } from '../send-signal.ts';

const run = promisify(execFile);

/** A PostgreSQL server of a test's own, in a temporary folder. */
export interface PostgresServer {
  readonly url: string;
  /** Kills all of its processes at once, as the kernel would that has no memory left. */
  kill(): Promise<void>;
  /** Starts it again upon what is on the disk, and waits until it answers. */
  start(): Promise<void>;
  /** Ends it, and removes its folder. */
  stop(): Promise<void>;
}

/** Where the programs of the newest PostgreSQL are, as Debian installs them; undefined where there is none. */
export function findPostgres(root = '/usr/lib/postgresql'): string | undefined {
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
}

/** @param bin from `findPostgres` */
export async function startPostgres(bin: string): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-postgres-'));
  const user = await ordinaryUser();
  if (user) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const options = { cwd: folder, ...user };
  await run(
    join(bin, 'initdb'),
    ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '-N'],
    options,
  );
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | undefined;
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, 'exit');
    if (signal === 'SIGKILL') for (const child of await childrenOf(server.pid)) sendSignal(child, 'SIGKILL');
    server.kill(signal);
    await exit;
  };
  const start = async (): Promise<void> => {
    const settings = ['-h', '127.0.0.1', '-p', String(port), '-k', folder, '-c', 'max_connections=100'];
    // It refuses to start while a process of the one that was killed is still there.
    for (let tries = 1; !(await answers(url)); tries++) {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) {
        if (tries > 500) throw new Error(`PostgreSQL in ${data} does not start: it ends with ${server?.exitCode}`);
        server = spawn(join(bin, 'postgres'), ['-D', data, ...settings], { ...options, stdio: 'ignore' });
      }
      await delay(20);
    }
  };
  await start();
  return {
    url,
    start,
    kill: () => ended('SIGKILL'),
    stop: async () => {
      await ended('SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** PgBouncer, where Debian's package has put it; undefined where there is none. */
export function findPooler(): string | undefined {
  return ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));
}

/** A pooler in front of a server: each transaction may get another of its two connections. */
export async function startPooler(
  program: string,
  { url }: PostgresServer,
): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-pooler-'));
  const user = await ordinaryUser();
  if (user) await chown(folder, user.uid, user.gid);
  const port = await freePort();
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${new URL(url).port} user=postgres`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 2',
  ];
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(file, settings.join('\n'));
  const pooler = spawn(program, ['-q', file], { cwd: folder, ...user, stdio: 'ignore' });
  const pooled = `postgres://postgres@127.0.0.1:${port}/postgres`;
  while (!(await answers(pooled))) {
    if (pooler.exitCode !== null) throw new Error(`PgBouncer ended with ${pooler.exitCode} as it started`);
    await delay(20);
  }
  return {
    url: pooled,
    stop: async () => {
      const exit = once(pooler, 'exit');
      pooler.kill('SIGKILL');
      await exit;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses root: the user that Debian's package makes for it then. */
async function ordinaryUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((each) => each.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined)
    throw new Error('PostgreSQL does not run as root, and there is no user postgres');
  return { uid: Number(uid), gid: Number(gid) };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

async function childrenOf(pid = 0): Promise<number[]> {
  const listed = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return listed.split(' ').filter(Boolean).map(Number);
}
