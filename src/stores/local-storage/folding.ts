import { type Checkpoint, type CompareCustom, join } from '../../checkpoint.ts';
import { decode, encode } from '../../codec.ts';
import { findEnded } from '../../tabs/presence.ts';
import type { Keys, Slot, TextStorage } from './keys.ts';
import type { Lives } from './lives.ts';

/** How often, in ms, a committing tab looks for what ended lives left. */
const foldEveryMs = 2000;

/**
 * Folds what ended lives left into the keys of a life that goes on: what that life has written as much or more of is
 * removed, the rest is copied first. The largest life that has ended is spared the copying: so every key is copied a few
 * times at most, however many visits there are, and a source has few keys.
 *
 * What must not happen is that a life's last write arrives between the look at its key and the removal. A life that says
 * itself that it has ended has written nothing since. Of one that ended otherwise, by a crash, Web Locks tell at once,
 * maybe before its last write arrives: its keys are removed once they are found unchanged two seconds later. Without Web
 * Locks it must have been silent for a day as well. Should it live after all, it lists itself and writes its keys again.
 */
export class Folding {
  readonly #keys: Keys;
  readonly #lives: Lives;
  readonly #storage: () => TextStorage;
  readonly #compare: CompareCustom | undefined;
  #nextAt = 0;
  /** What was found under the keys of lives that have not said that they ended. */
  #seen = new Map<string, string>();
  /** The ended lives of which nothing is left to do. */
  #done: string | undefined;

  constructor(keys: Keys, lives: Lives, storage: () => TextStorage, compare: CompareCustom | undefined) {
    this.#keys = keys;
    this.#lives = lives;
    this.#storage = storage;
    this.#compare = compare;
  }

  /**
   * Folds into the keys of a life, unless that was done a moment ago.
   * @param lives whether the life still goes on
   */
  async run(life: string, lives: () => boolean): Promise<void> {
    if (Date.now() < this.#nextAt) return;
    this.#nextAt = Date.now() + foldEveryMs;
    try {
      if (this.#lives.list().size <= 1) return;
      const isGone = await findEnded(this.#keys.prefix);
      if (lives()) this.#fold(life, (id) => (isGone ? isGone(id) : this.#lives.isSilent(id)));
    } catch {
      // What cannot be read or written stays.
    }
  }

  #fold(life: string, seemsEnded: (id: string) => boolean): void {
    const says = new Set([...this.#lives.list()].filter((id) => this.#lives.saysEnded(id)));
    const ended = [...this.#lives.list()].filter((id) => id !== life && (says.has(id) || seemsEnded(id)));
    if (ended.length === 0 || String(ended) === this.#done) return;
    const slots = this.#lives.look();
    const found = new Set(slots.map((slot) => slot.life));
    const seen = new Map<string, string>();
    const rest = new Map<string, Slot[]>(ended.map((id) => [id, []]));
    for (const slot of slots) {
      const left = rest.get(slot.life);
      if (!left) continue;
      const hasEnded = says.has(slot.life) || this.#isUnchanged(slot.key, seen);
      if (hasEnded && this.#isCovered(life, slot)) this.#storage().removeItem(slot.key);
      else left.push(slot);
    }
    const ready = [...rest.values()].filter((left) => left.every(({ key }) => !seen.has(key)));
    const [, ...small] = ready.sort((a, b) => b.length - a.length);
    for (const left of small) left.splice(0, left.length, ...left.filter((slot) => !this.#adopt(life, slot)));
    const gone = new Set(ended.filter((id) => rest.get(id)?.length === 0));
    this.#lives.tidy(
      [...found].filter((id) => !gone.has(id)),
      gone,
    );
    this.#seen = seen;
    this.#done = seen.size > 0 ? undefined : String(ended.filter((id) => !gone.has(id)));
  }

  /** Whether the same stood under a key the last time; if not, it is noted for the next. */
  #isUnchanged(key: string, seen: Map<string, string>): boolean {
    const text = this.#storage().getItem(key) ?? '';
    if (this.#seen.get(key) === text) return true;
    seen.set(key, text);
    return false;
  }

  /** Whether a life has itself written what stands under a key, or more. */
  #isCovered(life: string, { key, source }: Slot): boolean {
    if (source === undefined) return false;
    const own = this.#find(this.#keys.of(life, source), source);
    const other = this.#find(key, source);
    return own !== undefined && other !== undefined && join(own, other, source, this.#compare) === own;
  }

  /** Copies a key, and removes it. @returns false where it cannot be read */
  #adopt(life: string, { key, source }: Slot): boolean {
    if (source === undefined) return false;
    const own = this.#keys.of(life, source);
    const other = this.#find(key, source);
    if (!other) return false;
    this.#storage().setItem(own, encode(join(this.#find(own, source), other, source, this.#compare)));
    this.#storage().removeItem(key);
    return true;
  }

  /** What stands under a key; undefined: nothing, or what its readers are told cannot be read. */
  #find(key: string, source: string): Checkpoint | undefined {
    const text = this.#storage().getItem(key);
    try {
      return text === null ? undefined : decode(text, source, key);
    } catch {
      return undefined;
    }
  }
}
