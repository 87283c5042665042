import { type Checkpoint, type CompareCustom, join } from '../../checkpoint.ts';
import type { Batch } from '../../store.ts';

/** How long, in ms, a write may take to arrive after the news of it. It is a few in WebKit, none elsewhere. */
const lateMs = 10_000;

interface News {
  readonly checkpoint: Checkpoint;
  readonly generation: string;
  readonly until: number;
}

/**
 * What other tabs told of: their writes may arrive here after the news of them. News is good for a short time, and only
 * beside the directory that its teller saw: what comes late does not undo a clearAll.
 */
export class Heard {
  readonly #compare: CompareCustom | undefined;
  /** The oldest first. */
  readonly #news = new Map<string, News>();

  constructor(compare: CompareCustom | undefined) {
    this.#compare = compare;
  }

  add(batch: Batch, generation: string): void {
    const now = performance.now();
    for (const [source, { until }] of this.#news) {
      if (until > now) break;
      this.#news.delete(source);
    }
    for (const [source, checkpoint] of batch) {
      const before = this.#news.get(source);
      const known = before?.generation === generation ? before.checkpoint : undefined;
      this.#news.delete(source);
      const joined = join(known, checkpoint, source, this.#compare);
      this.#news.set(source, { checkpoint: joined, generation, until: now + lateMs });
    }
  }

  clear(): void {
    this.#news.clear();
  }

  /** The sources there is news of. */
  sources(): Iterable<string> {
    return this.#news.keys();
  }

  /** Joins the news of a source into what was found of it. */
  join(source: string, found: Checkpoint | undefined, generation: string | undefined): Checkpoint | undefined {
    const news = this.#news.get(source);
    if (!news) return found;
    const valid = news.generation === generation && news.until > performance.now();
    const joined = valid ? join(found, news.checkpoint, source, this.#compare) : found;
    if (joined === found) this.#news.delete(source); // It has arrived, or never will.
    return joined;
  }
}
