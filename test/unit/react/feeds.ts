import { type Feed, Offset } from 'tidemark';
import { turn } from '../resume/feeds.ts';

/** A feed of the numbers up to `last`, one a turn, which then stays open. */
export function counting(last: number) {
  let opened = 0;
  const feed: Feed<number> = async function* (from, context) {
    opened++;
    context.opened();
    let next = from.kind === 'sequence' ? Number(from.value) + 1 : 1;
    for (; next <= last && !context.signal.aborted; next++) {
      yield { offset: Offset.sequence(next), data: next };
      await turn();
    }
    if (context.signal.aborted) return;
    await new Promise((resolve) => void context.signal.addEventListener('abort', resolve));
  };
  return { feed, opened: () => opened };
}

export const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
