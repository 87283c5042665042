import type { Reading } from './server/readings.ts';

/**
 * What both lanes do with an event before they store it.
 * @throws Error for an event that cannot be processed
 */
export function process({ n, level }: Reading): void {
  if (level === null) throw new Error(`event ${n} has no level: its gauge had failed`);
}
