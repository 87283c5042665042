import { type Book, canonical } from '../server/changes.ts';

/** What is compared: a book, its canonical text, and the hash of that. */
export interface Copy {
  readonly book: Book;
  readonly text: string;
  readonly hash: string;
  /** How many changes it is made of. */
  readonly changes: number;
}

export async function copyOf(book: Book, text = canonical(book)): Promise<Copy> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const hash = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { book, text, hash, changes: new Map(book.counters).get('changes') ?? 0 };
}

/** The book as the server has it now, by its own bytes; undefined where the server is out of reach. */
export async function askServer(feed: string): Promise<Copy | undefined> {
  try {
    const response = await fetch(`/changes/book?${new URLSearchParams({ feed })}`, {
      signal: AbortSignal.timeout(3000),
    });
    if (!response.ok) return undefined;
    const text = await response.text();
    return await copyOf(JSON.parse(text), text);
  } catch {
    return undefined;
  }
}

/** Has the server make more changes. */
export async function addChanges(feed: string, count: number): Promise<void> {
  const response = await fetch(`/changes?${new URLSearchParams({ feed, count: String(count) })}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  if (!response.ok) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
}
