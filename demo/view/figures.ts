import type { Offset } from 'tidemark';
import { type Run, gapsOf } from '../log.ts';
import { numberOf } from '../session.ts';
import { element, numeral, show } from './element.ts';

/** What the figures show. */
export interface Standing {
  readonly head: number | undefined;
  readonly recorded: Offset | undefined;
  readonly committed: Offset | undefined;
  readonly run: Run | undefined;
}

/** The numbers beside and above the chart. */
export function makeFigures(): (standing: Standing) => void {
  const [head, recorded, committed] = [element('head'), element('recorded'), element('committed')];
  const [processed, gaps, duplicates] = [element('processed'), element('gaps'), element('duplicates')];
  const hint = element('checks-hint');
  const plain = hint.textContent;
  return (standing) => {
    const { run } = standing;
    show(head, standing.head === undefined ? '–' : numeral(standing.head));
    show(recorded, spell(standing.recorded ?? standing.committed));
    show(committed, spell(standing.committed));
    show(processed, numeral(run?.processed ?? 0));
    check(gaps, run ? gapsOf(run) : 0);
    check(duplicates, run?.duplicates ?? 0);
    show(
      hint,
      run?.inFlight ? `${plain} In flight as a page went, and seen by the next too: ${numeral(run.inFlight)}.` : plain,
    );
  };
}

function check(target: HTMLElement, count: number): void {
  show(target, numeral(count));
  target.parentElement?.classList.toggle('failed', count > 0);
}

function spell(offset: Offset | undefined): string {
  const n = numberOf(offset);
  return n === undefined ? (offset?.kind ?? '–') : numeral(n);
}
