import uPlot from 'uplot';
import type { History, Mark } from '../history.ts';

/** How far each lane is, against time: the newest event as a dashed line, the committed offset as the water's edge. */
export class Chart {
  readonly #target: HTMLElement;
  readonly #history: History;
  #plot: uPlot;

  constructor(target: HTMLElement, history: History) {
    this.#target = target;
    this.#history = history;
    this.#plot = this.#make();
    new ResizeObserver(() => this.#plot.setSize(sizeOf(target))).observe(target);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#plot.destroy();
      this.#plot = this.#make();
    });
  }

  draw(): void {
    this.#plot.setData(dataOf(this.#history));
  }

  #make(): uPlot {
    const color = colors();
    const axis: uPlot.Axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--edge'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    };
    const line = (label: string, name: string, rest: uPlot.Series): uPlot.Series => ({
      label,
      stroke: color(name),
      spanGaps: true,
      points: { show: false },
      ...rest,
    });
    return new uPlot(
      {
        ...sizeOf(this.#target),
        legend: { show: false },
        cursor: { show: false },
        padding: [16, 16, 0, 0],
        scales: {
          x: { time: true, range: () => [(Date.now() - this.#history.spanMs) / 1000, Date.now() / 1000] },
          y: { range: (_plot, min, max) => rangeOf(min, max) },
        },
        axes: [
          {
            ...axis,
            size: 26,
            splits: (plot) => splitsOf(this.#history.spanMs / 1000, plot.width),
            values: (_plot, times) => times.map(ago),
          },
          { ...axis, size: 64, space: 44, values: (_plot, numbers) => numbers.map((n) => n.toLocaleString('en')) },
        ],
        series: [
          {},
          line('committed', '--water', { width: 2.5, fill: (plot) => water(plot, color) }),
          line('recorded', '--swell', { width: 1.5 }),
          line('head', '--sand', { width: 1.5, dash: [6, 5] }),
          line('EventSource', '--plain', { width: 2 }),
        ],
        hooks: { draw: [(plot) => drawMarks(plot, this.#history.marks, color)] },
      },
      dataOf(this.#history),
      this.#target,
    );
  }
}

type Color = (name: string) => string;

/** The page's colours, which a canvas cannot name by itself. */
function colors(): Color {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
}

function sizeOf(target: HTMLElement): { width: number; height: number } {
  return { width: target.clientWidth, height: target.clientHeight };
}

function dataOf({ samples }: History): uPlot.AlignedData {
  return [
    samples.map(({ at }) => at / 1000),
    samples.map(({ committed }) => committed),
    samples.map(({ recorded }) => recorded),
    samples.map(({ head }) => head),
    samples.map(({ plain }) => plain),
  ];
}

function rangeOf(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 100];
  const air = Math.max(5, (max - min) * 0.08);
  return [Math.max(0, min - air * 2), max + air];
}

/** Round distances from now, so that the grid stands still while the line moves. */
function splitsOf(span: number, width: number): number[] {
  const step = [5, 10, 15, 30, 60].find((seconds) => (width / span) * seconds > 80) ?? 60;
  const count = Math.floor(span / step);
  return Array.from({ length: count + 1 }, (_, i) => Date.now() / 1000 - (count - i) * step);
}

function ago(time: number): string {
  const past = Math.round(Date.now() / 1000 - time);
  return past < 1 ? 'now' : `${past} s ago`;
}

function water(plot: uPlot, color: Color): CanvasGradient | string {
  const { top, height } = plot.bbox;
  if (!Number.isFinite(top + height)) return color('--water-low');
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, color('--water-high'));
  gradient.addColorStop(1, color('--water-low'));
  return gradient;
}

/** What happens to the page is a line; what happens to the network is dashed. */
const pageMarks: ReadonlySet<string> = new Set(['reload', 'crash', 'hang']);

function drawMarks(plot: uPlot, marks: readonly Mark[], color: Color): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  let labelledTo = -Infinity;
  ctx.save();
  ctx.lineWidth = 1.5 * ratio;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = 'bottom';
  ctx.textAlign = 'center';
  ctx.strokeStyle = ctx.fillStyle = color('--ink');
  for (const { at, label } of marks) {
    const x = plot.valToPos(at / 1000, 'x', true);
    if (label === undefined || x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash(pageMarks.has(label) ? [] : [4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const half = ctx.measureText(label).width / 2;
    const middle = Math.min(x, bbox.left + bbox.width - half);
    if (middle - half < labelledTo) continue;
    labelledTo = middle + half + 8 * ratio;
    ctx.fillText(label, middle, bbox.top - 2 * ratio);
  }
  ctx.restore();
}
