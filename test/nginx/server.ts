import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../free-port.ts';

/** An nginx of a test's own, in a temporary folder. */
export interface Nginx {
  readonly url: string;
  /** Ends it, and removes its folder. */
  stop(): Promise<void>;
}

/** Where Debian's package has put it; undefined where there is none. */
export function findNginx(): string | undefined {
  return ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path));
}

/**
 * Puts nginx in front of a server.
 * @param program from `findNginx`
 * @param settings of the location
 */
export async function startNginx(program: string, settings: readonly string[]): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-nginx-'));
  const port = await freePort();
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const config = `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    events {}
    http {
      access_log off;
      ${folders.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
      server {
        listen 127.0.0.1:${port};
        location / {
          ${settings.map((setting) => `${setting};`).join('\n')}
        }
      }
    }`;
  const file = join(folder, 'nginx.conf');
  const log = join(folder, 'error.log');
  await writeFile(file, config);
  const nginx = spawn(program, ['-p', folder, '-e', log, '-c', file], { stdio: 'ignore' });
  const exit = once(nginx, 'exit');
  const stop = async (): Promise<void> => {
    nginx.kill('SIGKILL');
    await exit;
    await rm(folder, { recursive: true, force: true });
  };
  while (!(await answers(port))) {
    if (nginx.exitCode !== null) {
      const said = await readFile(log, 'utf8').catch(() => '');
      await stop();
      throw new Error(`nginx ended with ${nginx.exitCode} as it started: ${said}`);
    }
    await delay(20);
  }
  return { url: `http://127.0.0.1:${port}`, stop };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
