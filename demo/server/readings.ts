/** An event of the demo's feed: what a made-up tide gauge has read. */
export interface Reading {
  /** The feed's life between two restarts of its numbering. */
  readonly generation: string;
  /** The event's number in its generation, from 0, without holes. */
  readonly n: number;
  readonly harbour: string;
  /** Metres above the chart's zero; null where the gauge had failed. */
  readonly level: number | null;
  readonly tide: 'rising' | 'falling';
}

const harbours = ['Whitby', 'Roscoff', 'Husum', 'Cork', 'Bergen', 'Vigo', 'Ostend'] as const;
/** Readings of one harbour between two high waters. */
const period = 120;

/** The n-th event: the same for everybody who asks, whenever they ask. */
export function reading(generation: string, n: number): Reading {
  const place = n % harbours.length;
  const phase = ((Math.floor(n / harbours.length) / period) * 2 + place / harbours.length) * Math.PI;
  const level = 3.2 + place * 0.3 + (2.4 - place * 0.2) * Math.sin(phase);
  return {
    generation,
    n,
    harbour: harbours[place] ?? harbours[0],
    level: Math.round(level * 100) / 100,
    tide: Math.cos(phase) >= 0 ? 'rising' : 'falling',
  };
}

/** The n-th event where its gauge had failed. */
export function brokenReading(generation: string, n: number): Reading {
  return { ...reading(generation, n), level: null };
}
