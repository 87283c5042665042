import process from 'node:process';
import { clearImmediate, setImmediate } from 'node:timers';
import type { Log, OpenFile } from './log.ts';

/** Commits may follow each other for hours: after so long (ms) the path is looked at again. */
const lookAgainAfterMs = 1_000;

/** A journal that is open to be appended to, and what was read of it. */
export interface OpenLog {
  readonly opened: OpenFile;
  readonly log: Log;
}

/**
 * Keeps a file open where one commit follows another at once: the next then need not open it, nor look at which file it is.
 * Where none does, it is closed when the event loop turns.
 */
export class KeptFile {
  #kept: OpenLog | undefined;
  #closing: ReturnType<typeof setImmediate> | undefined;

  /** @returns what is kept; it is the caller's to keep again or to close */
  take(): OpenLog | undefined {
    if (this.#closing) clearImmediate(this.#closing);
    this.#closing = undefined;
    const kept = this.#kept;
    this.#kept = undefined;
    return kept;
  }

  /** Whether it is time to look at the path again: somebody may have put another file there. */
  static isOld({ opened }: OpenLog): boolean {
    // On Windows, no other process could replace a file that is open.
    return process.platform === 'win32' || Math.abs(Date.now() - opened.at) >= lookAgainAfterMs;
  }

  async keep(open: OpenLog): Promise<void> {
    if (KeptFile.isOld(open)) return open.opened.file.close();
    this.#kept = open;
    this.#closing = setImmediate(() => void this.close().catch(() => {}));
  }

  async close(): Promise<void> {
    await this.take()?.opened.file.close();
  }
}
