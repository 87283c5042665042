// npm run demo:worker: the Worker in a local workerd, with a schedule of five seconds and some orders.
import { Miniflare } from 'miniflare';
import { workers } from './workers.js';

const miniflare = new Miniflare(await workers({ port: Number(process.env.PORT ?? 8787) }));
const url = await miniflare.ready;
console.log(`The Worker: ${url} shows how far it is; POST /refresh and /orders?first=301&last=400 give it more to do.`);

await miniflare.dispatchFetch(new URL('/prices', url), { method: 'POST' });
await miniflare.dispatchFetch(new URL('/orders?first=1&last=300', url), { method: 'POST' });
const worker = /** @type {{ scheduled(options: { cron: string }): Promise<unknown> }} */ (
  /** @type {unknown} */ (await miniflare.getWorker('demo'))
);
for (;;) {
  await worker.scheduled({ cron: '*/5 * * * * *' });
  console.log(await (await miniflare.dispatchFetch(url)).text());
  await new Promise((resolve) => setTimeout(resolve, 5000));
}
