import type { Control } from '../server/requests.ts';
import { rates, stores, strategies } from '../settings.ts';
import { type Choice, makeChoice } from './choices.ts';
import { element } from './element.ts';

/** What the page's controls do. */
export interface Actions {
  reload(): void;
  crash(): void;
  hang(): void;
  startOver(): void;
  choose(what: 'store' | 'strategy' | 'rate', value: string): Promise<void>;
  /** @param words for the journal and the chart */
  disturb(control: Control, words: { readonly text: string; readonly label: string }): Promise<void>;
  reset(to: 'earliest' | 'latest'): Promise<void>;
  commit(): Promise<void>;
  /** Starts a reading that has ended with an error again. */
  readOn(): void;
  failed(error: unknown): void;
}

/** What is chosen at the moment. */
export interface Chosen {
  readonly store: string;
  readonly strategy: string;
  readonly rate: string;
}

const rateChoices: Record<string, Choice> = {};
for (const rate of rates) rateChoices[rate] = { label: rate === 0 ? 'none' : String(rate) };

const controls: Readonly<Record<string, { control: Control; text: string; label: string }>> = {
  drop: { control: { action: 'drop' }, text: 'Dropped all connections.', label: 'drop' },
  unavailable: {
    control: { action: 'unavailable', seconds: 5 },
    text: 'The server answers 503 for 5 s.',
    label: 'down',
  },
  silence: {
    control: { action: 'silence' },
    text: 'The connections stay open, and nothing comes over them any more.',
    label: 'silent',
  },
  break: { control: { action: 'break' }, text: 'Sent an event that nobody can process.', label: 'broken' },
  burst: { control: { action: 'burst', events: 500 }, text: 'Sent 500 events at once.', label: 'burst' },
  restart: {
    control: { action: 'restart' },
    text: 'The server begins a new log: it answers 410 to whoever asks by an old id.',
    label: 'new log',
  },
};

/** @returns a function that shows what is chosen */
export function makeControls(actions: Actions): (chosen: Chosen) => void {
  const attempt = async (act: () => unknown) => {
    try {
      await act();
    } catch (error) {
      actions.failed(error);
    }
  };
  const on = (id: string, act: () => unknown) => element(id).addEventListener('click', () => attempt(act));

  on('reload', () => actions.reload());
  on('crash', () => actions.crash());
  on('hang', () => actions.hang());
  on('explain', () => {
    const isOpen = element('figures').classList.toggle('explained');
    element('explain').ariaExpanded = String(isOpen);
  });
  on('start-over', () => actions.startOver());
  on('start', () => actions.readOn());
  on('commit', () => actions.commit());
  on('reset-earliest', () => actions.reset('earliest'));
  on('reset-latest', () => actions.reset('latest'));
  for (const [id, { control, ...words }] of Object.entries(controls)) on(id, () => actions.disturb(control, words));

  const show = {
    store: makeChoice('store', stores, (value) => attempt(() => actions.choose('store', value))),
    strategy: makeChoice('strategy', strategies, (value) => attempt(() => actions.choose('strategy', value))),
    rate: makeChoice('rate', rateChoices, (value) => attempt(() => actions.choose('rate', value))),
  };
  return ({ store, strategy, rate }) => {
    show.store(store);
    show.strategy(strategy);
    show.rate(rate);
    element('open-tab').setAttribute('href', location.href);
  };
}
