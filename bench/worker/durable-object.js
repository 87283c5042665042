// Effects in a Durable Object, with and without the offset that they lead to.
import { DurableObject } from 'cloudflare:workers';
import { Offset, OffsetTracker } from 'tidemark';
import { DurableObjectOffsetStore } from 'tidemark/durable-object';

const count = 500;

export class Notes extends DurableObject {
  #n = 0;
  /** @type {import('tidemark').Reading<DurableObjectOffsetStore> | undefined} */
  #reading;

  /** @param {string} name */
  async round(name) {
    const { storage } = this.ctx;
    storage.sql.exec('CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, text TEXT)');
    const put = () => {
      const text = `text ${this.#n}`;
      storage.sql.exec('INSERT OR REPLACE INTO notes VALUES (?, ?)', `note ${this.#n % 1000}`, text);
    };
    if (name === 'effect alone') {
      for (let i = 0; i < count; i++) {
        this.#n++;
        await storage.transactionSync(put);
      }
    } else {
      const store = new DurableObjectOffsetStore(storage);
      const reading = (this.#reading ??= await new OffsetTracker(store).read('notes', { fence: true }));
      for (let i = 0; i < count; i++) await reading.transact(Offset.sequence(++this.#n), put);
    }
    return { amount: count };
  }
}

export default {
  /** @param {Request} request @param {{ NOTES: DurableObjectNamespace<Notes> }} env */
  async fetch(request, env) {
    const { name } = await request.json();
    return Response.json(await env.NOTES.get(env.NOTES.idFromName('notes')).round(name));
  },
};
