import type { Control } from '../server/requests.ts';
import { rates, stores, strategies } from '../settings.ts';
import { type Choice, makeChoice } from './choices.ts';
import { element } from './element.ts';

/** What the page's controls do. */
export interface Actions {
  choose(what: 'store' | 'strategy' | 'rate', value: string): Promise<void>;
  disturb(control: Control): Promise<void>;
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

const controls: Readonly<Record<string, Control>> = {
  drop: { action: 'drop' },
  unavailable: { action: 'unavailable', seconds: 5 },
  restart: { action: 'restart' },
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

  on('reload', () => location.reload());
  on('start', () => actions.readOn());
  on('commit', () => actions.commit());
  on('reset-earliest', () => actions.reset('earliest'));
  on('reset-latest', () => actions.reset('latest'));
  for (const [id, control] of Object.entries(controls)) on(id, () => actions.disturb(control));

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
