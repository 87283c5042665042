import type { IncomingMessage } from 'node:http';

/** What `POST /feed/control` takes, as JSON. 'drop', 'unavailable' and 'restart' drop the feed's connections. */
export type Control =
  | { readonly action: 'drop' }
  /** Answers 503 for so long. */
  | { readonly action: 'unavailable'; readonly seconds: number }
  /** Ids begin again at 0, in a new generation; the old ones answer 410. */
  | { readonly action: 'restart' }
  /** The connections that are open send nothing more, and stay open. */
  | { readonly action: 'silence' }
  /** An event that nobody can process. */
  | { readonly action: 'break' }
  | { readonly action: 'burst'; readonly events: number }
  | { readonly action: 'rate'; readonly rate: number }
  | { readonly action: 'retention'; readonly events: number };

/** A request that is answered with a status other than 200 and a sentence. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

const maxBody = 4096;
const mostAtOnce = 10_000;

export async function asControl(request: IncomingMessage): Promise<Control> {
  // A form of another site may not send this type, so that only the demo's own pages steer its feeds.
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
    throw new HttpError(415, 'A control is sent as application/json.');
  }
  const { action, seconds, rate, events } = await body(request);
  switch (action) {
    case 'drop':
    case 'restart':
    case 'silence':
    case 'break':
      return { action };
    case 'unavailable':
      return { action, seconds: asNumber(seconds, 'seconds', 0, 3600) };
    case 'rate':
      return { action, rate: asRate(rate) };
    case 'retention':
      return { action, events: asCount(events, 'events') };
    case 'burst':
      return { action, events: asCount(events, 'events', 1, mostAtOnce) };
    default:
      throw new HttpError(
        400,
        "action takes 'drop', 'unavailable', 'restart', 'silence', 'break', 'burst', 'rate' or 'retention'.",
      );
  }
}

export function asRate(value: unknown): number {
  return asNumber(value, 'rate', 0, 5000);
}

export function asCount(value: unknown, name: string, min = 1, max = 10_000_000): number {
  const count = asNumber(value, name, min, max);
  if (!Number.isInteger(count)) throw new HttpError(400, `${name} takes a whole number.`);
  return count;
}

function asNumber(value: unknown, name: string, min: number, max: number): number {
  const number = typeof value === 'number' || (typeof value === 'string' && value !== '') ? Number(value) : NaN;
  if (!(number >= min && number <= max)) throw new HttpError(400, `${name} takes a number from ${min} to ${max}.`);
  return number;
}

async function body(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > maxBody) throw new HttpError(413, `A control is at most ${maxBody} characters long.`);
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return { ...parsed };
  } catch {
    // Answered like any other body that is no object.
  }
  throw new HttpError(400, 'A control is a JSON object, such as {"action":"drop"}.');
}
