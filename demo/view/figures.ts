import { element, numeral, show } from './element.ts';

/** What is shown of a lane. */
export interface LaneFigures {
  readonly processed: number;
  /** Undefined where the server cannot be asked. */
  readonly missing: number | undefined;
  readonly skipped: number;
  readonly repeated: number;
  /** Undefined before the first event. */
  readonly silenceMs: number | undefined;
  readonly connections: number | undefined;
}

/** A silence that is shown as one, in ms. */
const longSilenceMs = 5000;

const atLeastOnce = 'At least once: what was not committed is processed again.';

/** The figures of both lanes, side by side. */
export function makeFigures(): (figures: Readonly<Record<'plain' | 'tidemark', LaneFigures>>) => void {
  const draw = { plain: makeLane('plain'), tidemark: makeLane('tidemark') };
  const repeated = element('repeated-hint');
  const usual = repeated.textContent;
  return ({ plain, tidemark }) => {
    draw.plain(plain);
    draw.tidemark(tidemark);
    show(repeated, tidemark.repeated > 0 ? atLeastOnce : usual);
    repeated.dataset.level = tidemark.repeated > 0 ? 'warn' : 'none';
  };
}

type Level = 'none' | 'good' | 'warn' | 'bad';

function makeLane(lane: 'plain' | 'tidemark'): (figures: LaneFigures) => void {
  const cell = (figure: string) => {
    const target = element(`${lane}-${figure}`);
    return (text: string, level: Level = 'none') => {
      show(target, text);
      target.dataset.level = level;
    };
  };
  const [processed, missing, skipped] = [cell('processed'), cell('missing'), cell('skipped')];
  const [repeated, silence, connections] = [cell('repeated'), cell('silence'), cell('connections')];
  return (figures) => {
    processed(numeral(figures.processed));
    missing(orDash(figures.missing), figures.missing === undefined ? 'none' : figures.missing > 0 ? 'bad' : 'good');
    skipped(figures.skipped > 0 ? `${numeral(figures.skipped)} left out` : '');
    repeated(numeral(figures.repeated), figures.repeated > 0 ? 'warn' : 'good');
    silence(
      figures.silenceMs === undefined ? '–' : `${Math.floor(figures.silenceMs / 1000)} s`,
      isDeaf(figures) ? 'bad' : 'none',
    );
    connections(orDash(figures.connections));
  };
}

/** Whether events happen, and none has come for a while. */
export function isDeaf({ silenceMs, missing }: LaneFigures): boolean {
  return (silenceMs ?? 0) > longSilenceMs && (missing ?? 0) > 0;
}

function orDash(n: number | undefined): string {
  return n === undefined ? '–' : numeral(n);
}
