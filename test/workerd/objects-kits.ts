import { DurableObject } from 'cloudflare:workers';
import type { OffsetStore } from '../../src/index.ts';
import { D1OffsetStore } from '../../src/stores/d1.ts';
import { DurableObjectOffsetStore } from '../../src/stores/durable-object/store.ts';
import { testOffsetStore, testTransact } from '../../src/testing/index.ts';
import { Suite, type Verdict } from './suite.ts';

/** Runs the kits inside an object, and is no OffsetsObject. */
export class Kit extends DurableObject {
  async conformance(): Promise<Verdict[]> {
    const suite = new Suite();
    testOffsetStore(
      'an object',
      ({ id, ...options }) => new DurableObjectOffsetStore(this.ctx.storage, { ...options, table: tableOf(id) }),
      suite,
    );
    return suite.run();
  }

  async transact(): Promise<Verdict[]> {
    const suite = new Suite();
    const { sql } = this.ctx.storage;
    testTransact(
      'an object',
      ({ id, ...options }) => {
        const store = new DurableObjectOffsetStore(this.ctx.storage, { ...options, table: tableOf(id) });
        const counter = `"counter ${id}"`;
        sql.exec(`CREATE TABLE IF NOT EXISTS ${counter} (id INTEGER PRIMARY KEY, n INTEGER)`);
        sql.exec(`INSERT OR IGNORE INTO ${counter} VALUES (1, 0)`);
        const add = (amount: number): unknown => sql.exec(`UPDATE ${counter} SET n = n + ?`, amount);
        return {
          store,
          apply: (source, change, amount) => store.transact(source, change, () => void add(amount)),
          fail: (source, change, amount, error) =>
            store.transact(source, change, () => {
              add(amount);
              throw error;
            }),
          misuse: (source, change, amount) => store.transact(source, change, async () => add(amount)),
          read: async () => Number([...sql.exec(`SELECT n FROM ${counter}`)][0]?.n),
        };
      },
      suite,
    );
    return suite.run();
  }
}

export async function d1Conformance(db: D1Database): Promise<Verdict[]> {
  const suite = new Suite();
  testOffsetStore('D1', ({ id, ...options }) => new D1OffsetStore(db, { ...options, table: tableOf(id) }), suite);
  return suite.run();
}

export async function d1Transact(db: D1Database): Promise<Verdict[]> {
  const suite = new Suite();
  testTransact(
    'D1',
    async ({ id, ...options }) => {
      const { store, add, read } = await d1Sums(db, id, options);
      return {
        store,
        apply: (source, change, amount) => store.transact(source, change, add(amount)),
        fail: (source, change, amount, { message }) => {
          const broken = db.prepare(`SELECT json_extract(?, '$')`).bind(`{ ${message}`);
          return store.transact(source, change, () => [...add(amount), broken]);
        },
        misuse: (source, change, amount) => store.transact(source, change, (async () => add(amount)) as never),
        isFailure: (found) => String(found).includes('malformed JSON'),
        read,
      };
    },
    suite,
  );
  return suite.run();
}

/** A store, and a sum beside it. */
export async function d1Sums(db: D1Database, id: string, options: Pick<OffsetStore, 'compare'> = {}) {
  await db.prepare('CREATE TABLE IF NOT EXISTS sums (id TEXT PRIMARY KEY, n INTEGER)').run();
  await db.prepare('INSERT OR IGNORE INTO sums VALUES (?, 0)').bind(id).run();
  return {
    store: new D1OffsetStore(db, { ...options, table: tableOf(id) }),
    add: (n: number) => [db.prepare('UPDATE sums SET n = n + ? WHERE id = ?').bind(n, id)],
    read: async () => Number(await db.prepare('SELECT n FROM sums WHERE id = ?').bind(id).first('n')),
  };
}

/** A dot would part a schema from a table. */
function tableOf(id: string): string {
  return `table of ${id.replaceAll('.', ' ')}`;
}
