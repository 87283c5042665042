import type { Checkpoint } from '../../src/index.ts';
import type { Budget, Pending, Program, Seat, State, Step } from './state.ts';
import { Ghost, isFence } from './ghost.ts';
import type { Effect, Storage } from './storage.ts';
import { type Call, textOf } from './store.ts';
import type { Input, Output } from './steps.ts';
import type { Case } from './programs.ts';
import { type Node, type Tree, answerKey } from './tree.ts';
import { type Feed, Violation, claim, keyOf, reaches } from './values.ts';

/** What comes whether an application waits or not. */
const anyTime: ReadonlySet<Program[number]> = new Set(['hide', 'wake', 'tire']);

/** What a tab does without a look at what is stored, and without leaving something there at once. */
const local: ReadonlySet<Program[number]> = new Set([
  'record',
  'begin',
  'done',
  'last',
  'commit',
  'reset',
  'clear',
  'apply',
  'both',
]);

/** All that may happen when some tabs run their programs over one storage. */
export class World<S> {
  readonly #programs: readonly Program[];
  readonly #storage: Storage<S>;
  readonly #tree: Tree;
  readonly #feed: Feed;
  /** Tell the tabs apart: of two that begin an epoch at the same moment, the higher has the higher. */
  readonly #salts: readonly number[];
  readonly #awaits: boolean;
  /** Whether what is read may be old, and the last of two writes wins: what then may go back is said in the head of check.ts. */
  readonly #isExact: boolean;

  constructor({ programs, salts, awaits }: Case, storage: Storage<S>, tree: Tree, feed: Feed) {
    this.#programs = programs;
    this.#awaits = awaits;
    this.#storage = storage;
    this.#tree = tree;
    this.#feed = feed;
    this.#salts = salts;
    this.#isExact = !storage.isEventual;
  }

  begin(budget: Budget): State<S> {
    const seats = this.#programs.map((_, index) => this.#seat(index, 0, 0));
    return { seats, stored: this.#storage.initial, orphans: [], ghost: new Ghost(), budget };
  }

  key({ seats, stored, orphans, ghost, budget }: State<S>): string {
    const own = seats.map(({ node, life, done, away, calls, messages, floors }) =>
      [
        node.id,
        life,
        done,
        away ? 1 : 0,
        calls.map((call) => this.#callKey(call)).join(),
        [...messages.keys()].sort().join(),
        floors.map((floor) => keyOf(floor, this.#feed)).join(),
      ].join(' '),
    );
    const lost = orphans.map((call) => `${call.seat}${call.text}${this.#callKey(call)}`).sort();
    return [
      ...own,
      this.#storage.key(stored),
      ...lost,
      ghost.key,
      budget.failures,
      budget.messages,
      budget.repeats,
    ].join('|');
  }

  steps(state: State<S>): Step<S>[] {
    const steps: Step<S>[] = [];
    for (const [index, seat] of state.seats.entries()) {
      const own: Step<S>[] = [];
      this.#stepsOf(state, index, seat, own);
      if (this.#isApart(state, index, seat, own)) return own;
      steps.push(...own);
    }
    for (const orphan of state.orphans) {
      const rest = state.orphans.filter((each) => each !== orphan);
      for (const effect of this.#storage.effects(state.stored, orphan.call, orphan.seat, orphan.stage)) {
        const orphans = effect.answer ? rest : [...rest, { ...orphan, stage: effect.stage }];
        const take = (): State<S> => this.#written({ ...state, orphans }, effect, orphan.call);
        steps.push({ label: `the ${orphan.call.type} of a crashed tab takes effect`, due: false, take });
      }
    }
    for (const { label, state: stored } of this.#storage.changes(state.stored)) {
      steps.push({ label, due: false, take: () => this.#written(state, { state: stored }, undefined) });
    }
    return steps;
  }

  /** Nothing that has to happen is left, or a tab waits for what will not come. */
  checkRest({ seats, stored }: State<S>, isEnd: boolean): void {
    for (const { node } of seats) {
      const { unsettled, pending, owed } = node.view;
      claim(unsettled.length === 0, `no promise hangs, as of ${unsettled.join(', ')}`);
      if (!isEnd) continue;
      claim(!pending, 'everything is committed once nothing fails any more');
      const stands = this.#storage.stands(stored);
      if (owed && this.#isExact)
        claim(reaches(stands, owed.epoch, owed.place, this.#feed), 'all that is owed is durable');
    }
  }

  /** The end of all schedules from here, without a failure: every tab is closed, one after another. */
  async finish(state: State<S>): Promise<string[]> {
    const labels: string[] = [];
    let now: State<S> = { ...state, budget: { failures: 0, messages: 0, repeats: 0 } };
    const rest = async (): Promise<void> => {
      for (let count = 0; ; count++) {
        claim(count < 200, 'the end comes');
        const step = this.steps(now).find(({ due }) => due);
        if (!step) return;
        labels.push(step.label);
        now = await step.take();
      }
    };
    try {
      for (const index of now.seats.keys()) {
        labels.push(`tab ${index}: close`);
        now = await this.#give(now, index, { type: 'operation', operation: 'close' });
        await rest();
      }
      this.checkRest(now, true);
    } catch (error) {
      throw Object.assign(error as Error, { labels });
    }
    return labels;
  }

  /**
   * Whether what a tab does next is the same whatever the others do first, and they do the same whenever it does it: then
   * it is done at once, and no schedule is lost but for the order of the two. It is its only step, and touches it alone;
   * and no call of its own, no timer and no message can give it another one meanwhile.
   */
  #isApart({ budget }: State<S>, index: number, { node, calls, done, away }: Seat, own: readonly Step<S>[]): boolean {
    if (own.length !== 1 || budget.messages > 0 || away || node.view.armed) return false;
    if (calls.length > 0) return calls.length === 1 && calls[0]?.answer !== undefined;
    const act = this.#programs[index]?.[done];
    return act !== undefined && local.has(act);
  }

  #stepsOf(state: State<S>, index: number, seat: Seat, steps: Step<S>[]): void {
    const { node, done, calls, messages, away } = seat;
    const next = this.#programs[index]?.[done];
    const name = `tab ${index}`;
    if (next === 'crash')
      steps.push({ label: `${name}: crash`, due: true, take: () => this.#crash(state, index, seat) });
    else if (next && node.view.can.has(next) && !(this.#awaits && node.view.busy && !anyTime.has(next))) {
      const take = () =>
        this.#give(this.#with(state, index, { ...seat, done: done + 1 }), index, {
          type: 'operation',
          operation: next,
        });
      steps.push({ label: `${name}: ${next}`, due: true, take });
    }
    for (const pending of calls) this.#stepsOfCall(state, index, seat, pending, steps);
    if (node.view.armed) {
      steps.push({
        label: `${name}: a timer comes`,
        due: true,
        take: () => this.#give(state, index, { type: 'timer' }),
      });
    }
    const { messages: left, repeats } = state.budget;
    if (away || left === 0) return;
    const heard = { ...state, budget: { ...state.budget, messages: left - 1 } };
    for (const [key, checkpoint] of messages) {
      const input = { type: 'message', checkpoint } as const;
      const others = new Map(messages);
      others.delete(key);
      const once = this.#with(heard, index, { ...seat, messages: others });
      steps.push({ label: `${name}: hears of ${key}`, due: false, take: () => this.#give(once, index, input) });
      if (repeats === 0) continue;
      const again = { ...state, budget: { ...state.budget, repeats: repeats - 1 } };
      steps.push({
        label: `${name}: hears of ${key}, not for the last time`,
        due: false,
        take: () => this.#give(again, index, input),
      });
    }
  }

  #stepsOfCall(state: State<S>, index: number, seat: Seat, pending: Pending, steps: Step<S>[]): void {
    const { id, call, answer, stage } = pending;
    const name = `tab ${index}: its ${call.type}`;
    const others = seat.calls.filter((each) => each !== pending);
    if (answer) {
      const answered = this.#with(state, index, { ...seat, calls: others });
      const take = () =>
        this.#give(this.#tell(answered, index, pending.told), index, { type: 'answer', call: id, answer });
      steps.push({ label: `${name} is answered ${answerKey(answer, this.#feed)}`, due: true, take });
      return;
    }
    const goOn = (from: State<S>, effect: Effect<S>, failed = false): State<S> => {
      const next = { ...pending, stage: effect.stage, answer: effect.answer, told: effect.told };
      const lost = { ...next, answer: { type: 'failed' }, told: undefined } as const;
      const calls = [...others, failed ? lost : next].sort((a, b) => a.id - b.id);
      return this.#written(this.#with(from, index, { ...seat, calls }), effect, call);
    };
    const effects = this.#storage.effects(state.stored, call, pending.seat, stage);
    for (const effect of effects) {
      const label = `${name} ${effect.label ?? 'takes effect'}`;
      steps.push({ label, due: true, take: () => goOn(state, effect) });
    }
    if (state.budget.failures === 0) return;
    const failing = { ...state, budget: { ...state.budget, failures: state.budget.failures - 1 } };
    const nothing = { state: state.stored, answer: { type: 'failed' } } as const;
    steps.push({ label: `${name} fails`, due: false, take: () => goOn(failing, nothing) });
    if (call.type === 'get') return;
    for (const effect of effects) {
      if (!effect.answer) continue;
      const label = `${name} ${effect.label ?? 'takes effect'} and fails`;
      steps.push({ label, due: false, take: () => goOn(failing, effect, true) });
    }
  }

  /** Something may have been written: holds that to what is promised. */
  #written(state: State<S>, effect: Effect<S>, call: Call | undefined): State<S> {
    const before = this.#storage.stands(state.stored);
    const after = this.#storage.stands(effect.state);
    const next = { ...state, stored: effect.state };
    const feed = this.#feed;
    if (call?.type === 'transact' && effect.answer?.type === 'result') {
      const { outcome } = effect.answer.result;
      const place = feed.place(call.change.next.offset);
      const { epoch } = call.change.next;
      const isNext = (before?.epoch ?? 0) === epoch && feed.place(before?.offset) === call.from;
      if (outcome === 'applied') claim(isNext, `an effect is applied once, and in order: ${place}`);
      if (outcome === 'duplicate') claim(reaches(before, epoch, place, feed), `a duplicate was applied: ${place}`);
    }
    if (effect.wrote) return { ...next, ghost: state.ghost.written(effect.wrote, feed) };
    if (after === before || after === undefined) {
      claim(after === before, 'nothing is lost');
      return next;
    }
    if (before && this.#isExact) {
      claim(reaches(after, before.epoch, feed.place(before.offset), feed), 'nothing goes back');
    }
    const isFencing = call?.type === 'begin' && call.at === undefined;
    if (isFencing) claim(feed.place(after.offset) === feed.place(before?.offset), 'a fence moves nothing');
    return { ...next, ghost: state.ghost.written(after, feed) };
  }

  /** Gives a tab what comes from outside, and the outside what the tab does. */
  #give(state: State<S>, index: number, input: Input): State<S> | Promise<State<S>> {
    const seat = state.seats[index];
    if (!seat) throw new TypeError('there is no such tab');
    const node = this.#tree.step(seat.node, input);
    return node instanceof Promise
      ? node.then((came) => this.#took(state, index, came))
      : this.#took(state, index, node);
  }

  #took(state: State<S>, index: number, node: Node): State<S> {
    const before = state.seats[index];
    if (!before) throw new TypeError('there is no such tab');
    let now = this.#with(state, index, { ...before, node });
    for (const output of node.outputs) now = this.#put(now, index, output);
    return now;
  }

  #put(state: State<S>, index: number, output: Output): State<S> {
    const seat = state.seats[index];
    if (!seat) throw new TypeError('there is no such tab');
    const feed = this.#feed;
    const stands = this.#storage.stands(state.stored);
    switch (output.type) {
      case 'wrong':
        throw new Violation(output.what);
      case 'call': {
        const { id, call } = output;
        const own = { id, seat: `${index}.${seat.life}`, call, text: textOf(call, feed) };
        const pending = { ...own, stage: undefined, answer: undefined, told: undefined };
        return this.#with(state, index, { ...seat, calls: [...seat.calls, pending] });
      }
      case 'saved': {
        const stored = this.#storage.save(state.stored, output.checkpoint, `${index}.${seat.life}`);
        return this.#written(state, { state: stored }, undefined);
      }
      case 'away':
        return this.#with(state, index, { ...seat, away: output.away, messages: new Map() });
      case 'asks':
        return this.#with(state, index, { ...seat, floors: [...seat.floors, stands] });
      case 'starts': {
        const mark = state.ghost.watermark(output.epoch);
        claim(mark !== undefined && output.place <= mark, `nothing is skipped: it starts at ${output.place}`);
        if (!output.asked) return state;
        const { own } = output;
        // Nobody else has begun an epoch since: what was recorded here is not repeated.
        const isOwn = own && state.ghost.epochsBetween(own.epoch, output.epoch) <= (own.epoch === output.epoch ? 0 : 1);
        if (isOwn && isFence(output.epoch))
          claim(
            output.place >= own.place,
            `what was recorded is not repeated: ${own.place}, it starts at ${output.place}`,
          );
        const [floor, ...floors] = seat.floors;
        const isLate = floor && !this.#isLater(output, floor);
        if (this.#isExact) claim(!isLate, `reading starts where the store stands, not at ${output.place}`);
        return this.#with(state, index, { ...seat, floors });
      }
      case 'processed':
        return { ...state, ghost: state.ghost.processed(output.epoch, output.place) };
      case 'told': {
        const { epoch, place, why } = output;
        claim(state.ghost.hasHeld(epoch, place), `${why} what is not so: ${place} is durable in ${epoch}`);
        return state;
      }
      case 'safe':
        claim(reaches(stands, output.epoch, output.place, feed), `a page saves ${output.place} as it goes away`);
        return state;
    }
  }

  #isLater({ epoch, place }: { epoch: number; place: number }, floor: Checkpoint): boolean {
    return epoch > floor.epoch || (epoch === floor.epoch && place >= this.#feed.place(floor.offset));
  }

  /** Tells the other tabs, where they can hear it. */
  #tell(state: State<S>, from: number, told: Checkpoint | undefined): State<S> {
    if (!told) return state;
    const key = keyOf(told, this.#feed);
    const seats = state.seats.map((seat, index) =>
      index === from || seat.away ? seat : { ...seat, messages: new Map(seat.messages).set(key, told) },
    );
    return { ...state, seats };
  }

  #crash(state: State<S>, index: number, { life, done, calls }: Seat): State<S> {
    const orphans = [...state.orphans, ...calls.filter(({ answer }) => !answer)];
    return { ...this.#with(state, index, this.#seat(index, life + 1, done + 1)), orphans };
  }

  #seat(index: number, life: number, done: number): Seat {
    const node = this.#tree.root((this.#salts[index] ?? 0) * 4 + life);
    return { node, life, done, away: false, calls: [], messages: new Map(), floors: [] };
  }

  #with(state: State<S>, index: number, seat: Seat): State<S> {
    return { ...state, seats: state.seats.map((each, at) => (at === index ? seat : each)) };
  }

  #callKey({ id, stage, answer, told }: Pending): string {
    const feed = this.#feed;
    if (!answer) return `${id}${stage ? `~${stage.key}` : ''}`;
    return `${id}=${answerKey(answer, feed)}${told ? `>${keyOf(told, feed)}` : ''}`;
  }
}
