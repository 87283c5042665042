import { quote } from '../errors.ts';

/** @throws TypeError for what is neither a string nor a URL, of whatever realm */
export function checkUrl(what: string, url: unknown): void {
  if (typeof url === 'string' || typeof (Object(url) as Partial<URL>).href === 'string') return;
  throw new TypeError(`${what}: ${quote(url)} is no URL: give a string or a URL`);
}
