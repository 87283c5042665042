/** A moment worth a sentence in the journal and, with a label, a line in the chart. */
export interface Mark {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** What it is about; undefined: the page and the server. */
  readonly lane?: 'plain' | 'tidemark' | undefined;
  readonly text: string;
  readonly label?: string | undefined;
}

/** Where everything stood at one moment, by the number of the event; null where it was not known. */
export interface Sample {
  readonly at: number;
  readonly head: number | null;
  readonly plain: number | null;
  readonly recorded: number | null;
  readonly committed: number | null;
}

const longestSpanMs = 120_000;
const firstSpanMs = 30_000;
const maxSamples = 1200;
const maxMarks = 60;

/** The last two minutes, which outlive a reload of the tab. */
export class History {
  readonly samples: Sample[] = [];
  readonly marks: Mark[] = [];
  /** Whether this tab was on this feed before. */
  readonly continued: boolean;
  readonly #key: string;

  constructor(feed: string) {
    this.#key = `tidemark-demo-history:${feed}`;
    const kept = this.#load();
    this.continued = kept !== undefined;
    this.samples.push(...(kept?.samples ?? []));
    this.marks.push(...(kept?.marks ?? []));
  }

  add(sample: Sample): void {
    this.samples.push(sample);
    const first = this.samples.findIndex(({ at }) => at > sample.at - longestSpanMs * 1.1);
    this.samples.splice(0, Math.max(first, this.samples.length - maxSamples));
  }

  mark(mark: Mark): void {
    this.marks.push(mark);
    this.marks.splice(0, this.marks.length - maxMarks);
  }

  /** The number of the newest event at a moment; undefined where that is not known. */
  headAt(moment: number): number | undefined {
    // The newest come last, and few are newer than what is asked for.
    for (let i = this.samples.length - 1; i >= 0; i--) {
      const sample = this.samples[i];
      if (sample && sample.at <= moment) return sample.head ?? undefined;
    }
    return undefined;
  }

  /** How far back there is something to see, in ms: at least half a minute, at most two. */
  get spanMs(): number {
    const first = this.samples[0]?.at ?? Date.now();
    return Math.min(longestSpanMs, Math.max(firstSpanMs, Date.now() - first));
  }

  save(): void {
    try {
      sessionStorage.setItem(this.#key, JSON.stringify({ samples: this.samples, marks: this.marks }));
    } catch {
      // Storage is refused or full: the chart then begins anew with the page.
    }
  }

  #load(): { samples: Sample[]; marks: Mark[] } | undefined {
    try {
      const { samples, marks } = JSON.parse(sessionStorage.getItem(this.#key) ?? '');
      return Array.isArray(samples) && Array.isArray(marks) ? { samples, marks } : undefined;
    } catch {
      return undefined;
    }
  }
}
