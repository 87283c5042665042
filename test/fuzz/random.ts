import { type Checkpoint, Offset } from '../../src/index.ts';
import { mulberry32 } from '../random.ts';

/** What code that reads text stumbles over. */
const tokens = [
  ['', '{}', '[]', 'null', 'true', '0', '-0', '-1', '1e999', '1e21', '0.5', '9007199254740993', '"', '""', '\\', ','],
  ['"__proto__"', '"constructor"', '"prototype"', '"toString"', '"json"', '"meta"', '"values"', '"kind"', '"value"'],
  ['"bigint"', '"Date"', '"undefined"', '"set"', '"map"', '"regexp"', '"Error"', '"symbol"', '"NaN"', '"number"'],
  ['["bigint"]', '["Date"]', '["undefined"]', '["set"]', '["map"]', '["class","Offset"]', '["custom","x"]', '["URL"]'],
  ['["typed-array","Uint8Array"]', '"referentialEqualities"', '"epoch"', '"rank"', '"offset"', '"committedAt"'],
  ['"sequence"', '"timestamp"', '"custom"', '"earliest"', '"latest"', '"0x1f"', '" 12 "', '"offset.value"'],
  [
    '"__proto__.polluted"',
    '"constructor.prototype.polluted"',
    '{"__proto__":{"epoch":1}}',
    '\ufeff',
    '\u0000',
    '\ud800',
  ],
  ['😀', '\n', '\r\n', '\u2028', '['.repeat(500), '{"a":'.repeat(500), 'x'.repeat(5000), ' 00000000', 'seq:', 'ts:'],
].flat();

const jsonToken = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false|null|[{}[\],:]/g;

/** Random choices, the same for the same seed. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** A whole number from 0 up to `limit`, without it. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined && list.length === 0) throw new Error('nothing to pick from');
    return found as T;
  }

  text(maxLength = 12): string {
    const units = Array.from({ length: this.below(maxLength + 1) }, () =>
      this.chance(0.8) ? 32 + this.below(95) : this.below(0x1_0000),
    );
    return String.fromCharCode(...units);
  }

  source(): string {
    return this.pick(['orders', '', '__proto__', 'constructor', 'a/b', '\ud800', ' ab12cd34', 'ü"\\', this.text()]);
  }

  offset(): Offset {
    switch (this.below(5)) {
      case 0:
        return Offset.sequence(this.chance(0.5) ? this.below(100) : 2n ** 64n - 1n - BigInt(this.below(100)));
      case 1:
        return Offset.timestamp(this.chance(0.5) ? this.below(2 ** 40) : this.pick([0, -1, 8.64e15, -8.64e15]));
      case 2:
        return Offset.earliest;
      case 3:
        return Offset.latest;
      default:
        return Offset.custom(this.text());
    }
  }

  checkpoint(): Checkpoint {
    return {
      epoch: this.chance(0.5) ? this.below(3) : this.below(2 ** 52),
      rank: this.chance(0.8) ? this.below(100) : this.below(100) + this.below(2 ** 20) / 2 ** 20,
      offset: this.chance(0.1) ? undefined : this.offset(),
      ...(this.chance(0.3) && { feed: this.text() }),
      committedAt: this.below(2 ** 41),
    };
  }

  /** Text that is nearly the given one, or something else altogether. */
  damaged(text: string): string {
    let damaged = text;
    for (let times = 1 + this.below(3); times > 0; times--) damaged = this.#damagedOnce(damaged);
    return damaged;
  }

  #damagedOnce(text: string): string {
    const at = this.below(text.length + 1);
    const end = Math.min(text.length, at + this.below(20));
    switch (this.below(8)) {
      case 0:
        return text.slice(0, at);
      case 1:
        return text.slice(0, at) + text.slice(end);
      case 2:
        return text.slice(0, at) + this.pick(tokens) + text.slice(at);
      case 3:
        return text.slice(0, end) + text.slice(at);
      case 4:
        return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << this.below(8))) + text.slice(at + 1);
      case 5:
        return this.chance(0.9) ? this.#withOtherToken(text) : this.text(60);
      case 6:
        return this.pick(tokens) + (this.chance(0.5) ? text : '');
      default:
        return this.#withOtherToken(text);
    }
  }

  /** Still JSON, mostly. */
  #withOtherToken(text: string): string {
    const found = [...text.matchAll(jsonToken)];
    if (found.length === 0) return this.pick(tokens);
    const { index, 0: token } = this.pick(found);
    const other = this.chance(0.5) ? this.pick(tokens) : this.pick(found)[0];
    return text.slice(0, index) + other + text.slice(index + token.length);
  }

  /** A value that `structuredClone` takes, and that is mostly not what was expected. */
  anything(): unknown {
    const values: readonly (readonly unknown[])[] = [
      [undefined, null, true, 0, -0, -1, 0.5, NaN, Infinity, 2 ** 53, 1n, -1n, 2n ** 64n, '', 'earliest', this.text()],
      [[], {}, new Map(), new Set(), new Date(NaN), new Date(0), new Uint8Array(4), /x/, new Error('x')],
      [
        { kind: 'sequence', value: 5 },
        { kind: 'sequence', value: -1n },
        { kind: 'timestamp', value: new Date(NaN) },
      ],
      [{ kind: 'latest', value: {} }, { kind: '__proto__' }, JSON.parse('{"__proto__":{"epoch":1,"kind":"latest"}}')],
      [this.offset(), this.checkpoint(), new Map([['orders', this.checkpoint()]]), new Map([[5, this.checkpoint()]])],
    ];
    return this.pick(values.flat());
  }

  /** A value that is nearly the given one: one part of it is another, missing or new. */
  altered(value: unknown): unknown {
    if (this.chance(0.2)) return this.anything();
    if (value instanceof Map) {
      const entries = [...value].map(([key, each]) => [key, this.chance(0.5) ? this.altered(each) : each] as const);
      return new Map<unknown, unknown>(this.chance(0.1) ? [...entries, [this.anything(), this.anything()]] : entries);
    }
    if (Array.isArray(value)) return value.map((each) => (this.chance(0.5) ? this.altered(each) : each));
    if (typeof value !== 'object' || value === null || value instanceof Date) return this.anything();
    const copy: Record<string, unknown> = { ...value };
    const key = this.pick([...Object.keys(copy), 'feed', 'extra']);
    if (this.chance(0.2)) delete copy[key];
    else copy[key] = this.altered(copy[key]);
    return copy;
  }

  bytes(maxLength: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: this.below(maxLength + 1) }, () => this.below(256));
  }

  /** Bytes that are nearly the given ones. */
  damagedBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    let damaged = Uint8Array.from(bytes);
    for (let times = 1 + this.below(3); times > 0; times--) {
      const at = this.below(damaged.length + 1);
      const end = Math.min(damaged.length, at + this.below(40));
      switch (this.below(6)) {
        case 0:
          damaged = damaged.slice(0, at);
          break;
        case 1:
          damaged = joined(damaged.subarray(0, at), damaged.subarray(end));
          break;
        case 2:
          damaged = joined(damaged.subarray(0, end), damaged.subarray(at));
          break;
        case 3:
          damaged = joined(damaged.subarray(0, at), this.bytes(40), damaged.subarray(at));
          break;
        case 4:
          damaged.fill(this.pick([0, 10, 13, 32, 255]), at, end);
          break;
        default:
          if (at < damaged.length) damaged[at] = (damaged[at] ?? 0) ^ (1 << this.below(8));
      }
    }
    return damaged;
  }

  /** Bytes cut into pieces of random lengths, some of them empty. */
  cut<T extends Uint8Array | string>(whole: T): T[] {
    const pieces: T[] = [];
    for (let from = 0; from < whole.length;) {
      const to = from + (this.chance(0.3) ? this.below(3) : this.below(whole.length + 1));
      pieces.push((typeof whole === 'string' ? whole.slice(from, to) : whole.subarray(from, to)) as T);
      from = to;
    }
    return pieces;
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
