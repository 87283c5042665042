// Workers in workerd, each side in one of its own. A Worker's clock stands still while it computes, so rounds are timed outside.
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { build } from 'rolldown';

/** @typedef {{ readonly script: string, readonly quick: boolean }} Given */

/** @param {boolean} quick @param {string} file in bench/worker @returns {Promise<Given>} */
export async function openWorker(quick, file) {
  const { output } = await build({
    input: fileURLToPath(new URL(`../worker/${file}`, import.meta.url)),
    platform: 'browser',
    external: [/^cloudflare:/],
    write: false,
    logLevel: 'silent',
    output: { codeSplitting: false },
  });
  return { script: output[0].code, quick };
}

/**
 * A side that runs in a Worker: a request for each round, which answers with what the Worker found.
 * @param {string} name @param {Record<string, unknown>} [options] passed on
 * @returns {import('./turns.js').Side}
 */
export const inWorker =
  (name, options = {}) =>
  async (/** @type {Given} */ { script, quick }) => {
    const miniflare = new Miniflare({
      modules: true,
      script,
      compatibilityDate: '2026-04-01',
      kvNamespaces: ['KV'],
      d1Databases: ['DB'],
      ...(script.includes('cloudflare:workers') && {
        durableObjects: { NOTES: { className: 'Notes', useSQLite: true } },
      }),
    });
    await miniflare.ready;
    return async () => {
      const response = await miniflare.dispatchFetch('http://worker/', {
        method: 'POST',
        body: JSON.stringify({ name, quick, ...options }),
      });
      if (!response.ok) throw new Error(await response.text());
      return /** @type {import('./turns.js').Answer} */ (await response.json());
    };
  };
