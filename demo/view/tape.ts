import type { Tally } from '../tally.ts';

/** What a tape shows: the events of the feed from the first to the newest. */
export interface TapeRange {
  readonly from: number;
  readonly until: number;
  /** Whatever is later may be on its way. */
  readonly due: number;
}

/** How often each event was processed: a step once, two steps twice, three more often; what is missing is hatched. */
export class Tape {
  readonly #canvas: HTMLCanvasElement;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  draw(tally: Tally | undefined, { from, until, due }: TapeRange): void {
    const canvas = this.#canvas;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((px) => Math.round(px * devicePixelRatio));
    if (!width || !height) return;
    // Setting a size clears the canvas, too.
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    if (!context || until < from) return;
    const style = getComputedStyle(canvas);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const [once, again, missing] = [color('--once'), color('--again'), color('--lost')];
    const step = Math.floor(height / 3);
    const events = until - from + 1;
    for (let x = 0; x < width; x++) {
      const [first, last] = [
        from + Math.floor((x * events) / width),
        from + Math.floor(((x + 1) * events - 1) / width),
      ];
      const times = timesIn(tally, first, last);
      if (times.some((n) => n === 0)) {
        if (last > due) continue;
        context.fillStyle = missing;
        // Hatched, so that it is told apart by shape, too.
        for (let y = x % 4; y < height; y += 4) context.fillRect(x, y, 1, 2);
        continue;
      }
      const most = Math.min(3, Math.max(...times));
      context.fillStyle = once;
      context.fillRect(x, height - step, 1, step);
      if (most < 2) continue;
      context.fillStyle = again;
      context.fillRect(x, height - step * most, 1, step * (most - 1));
    }
  }
}

/** Of a range with very many events some stand for all. */
function timesIn(tally: Tally | undefined, first: number, last: number): number[] {
  const stride = Math.max(1, Math.floor((last - first) / 64));
  const times: number[] = [];
  for (let n = first; n <= Math.max(first, last); n += stride) times.push(tally?.timesOf(n) ?? 0);
  return times;
}
