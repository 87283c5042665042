import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import manifest from '../../package.json' with { type: 'json' };

/**
 * The demo's two Workers, for Miniflare.
 * @param {{ folder?: string, runMs?: number, port?: number }} [options] where what they store is kept, how long an
 * invocation reads in ms, and where they are served
 * @returns {Promise<import('miniflare').MiniflareOptions>}
 */
export async function workers({ folder, runMs = 20_000, port } = {}) {
  const common = { modules: true, compatibilityDate: '2026-04-01' };
  return {
    ...(port !== undefined && { port }),
    ...(folder !== undefined && {
      kvPersist: `${folder}/kv`,
      d1Persist: `${folder}/d1`,
      durableObjectsPersist: `${folder}/objects`,
    }),
    workers: [
      {
        ...common,
        name: 'demo',
        script: await bundle('worker.ts'),
        bindings: { RUN_MS: runMs },
        kvNamespaces: ['OFFSETS'],
        d1Databases: ['DB'],
        durableObjects: { PRICES: { className: 'Prices', useSQLite: true } },
        queueProducers: { ORDERS: 'orders' },
        queueConsumers: { orders: { maxBatchSize: 10, maxBatchTimeout: 1 } },
        serviceBindings: { API: 'upstream' },
      },
      { ...common, name: 'upstream', script: await bundle('upstream.ts') },
    ],
  };
}

/** @param {string} file */
async function bundle(file) {
  const build = await rolldown({
    input: fileURLToPath(new URL(file, import.meta.url)),
    platform: 'browser',
    external: [/^cloudflare:/],
    resolve: { alias: sources() },
  });
  const { output } = await build.generate({ format: 'esm', codeSplitting: false });
  return output[0].code;
}

/** The package under its own name, from its sources: the demo needs no build. */
function sources() {
  return Object.fromEntries(
    Object.entries(manifest.exports).flatMap(([subpath, target]) => {
      if (typeof target === 'string') return [];
      const source = target.default.replace('./dist/', '../../src/').replace(/\.js$/, '.ts');
      return [[`tidemark${subpath.slice(1)}$`, fileURLToPath(new URL(source, import.meta.url))]];
    }),
  );
}
