import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the runtimes lie. `npm ci` removes them. */
export const cache = join(import.meta.dirname, '../../node_modules/.cache/runtimes');
const shell = process.platform === 'win32';

/**
 * Installs a runtime, where it is not there yet. @returns the path of its program; undefined where it cannot be had
 * @param {string} pack
 * @param {string} bin
 */
export function findRuntime(pack, bin) {
  const folder = join(cache, pack);
  const path = join(folder, 'node_modules/.bin', shell ? `${bin}.cmd` : bin);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    const options = ['--prefix', folder, '--no-audit', '--no-fund', '--no-save', '--loglevel', 'error'];
    // What `npm run` sets for this package is not meant for that folder.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle)/.test(name)),
    );
    spawnSync('npm', ['install', ...options, pack], { cwd: folder, stdio: 'inherit', shell, env });
  }
  if (spawnSync(path, ['--version'], { shell }).status === 0) return path;
  rmSync(folder, { recursive: true, force: true });
  return undefined;
}
