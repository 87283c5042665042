// Effects in a D1 database, with and without the offset that they lead to.
import { Offset, OffsetTracker } from 'tidemark';
import { D1OffsetStore } from 'tidemark/d1';

const count = 500;
let n = 0;
/** @type {import('tidemark').Reading<D1OffsetStore<D1PreparedStatement>> | undefined} */
let reading;

export default {
  /** @param {Request} request @param {{ DB: D1Database }} env */
  async fetch(request, { DB }) {
    const { name } = await request.json();
    await DB.prepare('CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, text TEXT)').run();
    const insert = DB.prepare('INSERT OR REPLACE INTO notes VALUES (?, ?)');
    const put = () => insert.bind(`note ${n % 1000}`, `text ${n}`);
    if (name === 'effect alone') {
      for (let i = 0; i < count; i++) {
        n++;
        await DB.batch([put()]);
      }
    } else {
      reading ??= await new OffsetTracker(new D1OffsetStore(DB)).read('notes', { fence: true });
      for (let i = 0; i < count; i++) {
        n++;
        await reading.transact(Offset.sequence(n), [put()]);
      }
    }
    return Response.json({ amount: count });
  },
};
