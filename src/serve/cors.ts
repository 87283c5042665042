import { UnsupportedError } from '../errors.ts';

/** Which pages of other origins may read. */
export interface CorsOptions {
  /** '*', origins like 'https://app.example', or a function that knows them. Default '*'. */
  readonly origin?: string | readonly string[] | ((origin: string) => boolean);
  /** Whether cookies are taken along; the origins have to be named then. Default false. */
  readonly credentials?: boolean;
  /** Request headers to allow beside Last-Event-ID, Authorization, Cache-Control and Content-Type. Default: none. */
  readonly headers?: readonly string[];
}

/** The request headers that clients of event streams send. */
const sent = ['Last-Event-ID', 'Authorization', 'Cache-Control', 'Content-Type'];
const secondsOfPreflight = 7200;

/** The rules for other origins (Fetch Standard, section 3.3), made into headers. */
export class Cors {
  readonly #options: CorsOptions;
  readonly #isOpen: boolean;
  readonly #exposed: string;

  /**
   * @param exposed the response headers that a page may read
   * @throws UnsupportedError for cookies from everywhere, which browsers refuse
   */
  constructor(options: CorsOptions, exposed: readonly string[]) {
    const { origin = '*', credentials = false } = options;
    this.#options = options;
    this.#isOpen = [origin].flat().includes('*');
    this.#exposed = exposed.join(', ');
    if (this.#isOpen && credentials) {
      throw new UnsupportedError("browsers refuse credentials from any origin ('*'): name the origins in cors.origin");
    }
  }

  /** Sets the headers of an answer. */
  allow(origin: string | null, headers: Headers): void {
    // What is answered to one origin is not to be shown to another.
    if (!this.#isOpen) headers.append('vary', 'Origin');
    const allowed = this.#isOpen ? '*' : this.#allowed(origin);
    if (allowed === undefined) return;
    headers.set('access-control-allow-origin', allowed);
    headers.set('access-control-expose-headers', this.#exposed);
    if (this.#options.credentials) headers.set('access-control-allow-credentials', 'true');
  }

  /** Sets the headers of the answer to a preflight. */
  allowRequest(headers: Headers, methods: string): void {
    headers.set('access-control-allow-methods', methods);
    headers.set('access-control-allow-headers', [...sent, ...(this.#options.headers ?? [])].join(', '));
    headers.set('access-control-max-age', String(secondsOfPreflight));
  }

  #allowed(from: string | null): string | undefined {
    const { origin = '*' } = this.#options;
    // An origin is ASCII; anything else cannot stand in the answer's headers.
    if (from === null || /[^!-~]/.test(from)) return undefined;
    const isNamed = typeof origin === 'function' ? origin(from) : [origin].flat().includes(from);
    return isNamed ? from : undefined;
  }
}
