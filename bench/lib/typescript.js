// Loads what the tests have in TypeScript, which Node 20 does not read by itself.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** @param {string} path from the root of the repository @returns {Promise<any>} the module */
export async function load(path) {
  const { module } = await runnerImport(`${root}${path}`, { root, configFile: false, logLevel: 'error' });
  return module;
}
