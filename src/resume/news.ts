import type { Offset } from '../offset.ts';
import type { Runs } from '../tracker/runs.ts';

/** What one `resume` tells the subscribers of its tracker. */
export class News {
  readonly #runs: Runs;
  readonly #source: string;
  readonly #warned = new Set<string>();

  constructor(runs: Runs, source: string) {
    this.#runs = runs;
    this.#source = source;
  }

  /** Something works less well than it seems; told once for each code. */
  readonly warn = (code: string, message: string): void => {
    if (this.#warned.has(code)) return;
    this.#warned.add(code);
    this.#runs.tell({ type: 'warning', source: this.#source, code, message });
  };

  skipped(offset: Offset | undefined, error: unknown): void {
    this.#runs.tell({ type: 'skipped', source: this.#source, offset, error });
  }

  progress(head: Offset | undefined, upToDate: boolean): void {
    this.#runs.progress(this.#source, head, upToDate);
  }
}
