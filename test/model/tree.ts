import type { Input, Output, Setup, View } from './steps.ts';
import { Tab } from './tab.ts';
import { type Answer } from './store.ts';
import { keyOf, type Feed } from './values.ts';

/** What a tab has done and shows after some inputs. The real tracker runs once for each sequence of inputs of one tab. */
export interface Node {
  readonly id: number;
  readonly parent: Node | undefined;
  readonly input: Input | undefined;
  readonly outputs: readonly Output[];
  readonly view: View;
  readonly children: Map<string, Node>;
  readonly salt: number;
}

/** How many tabs are kept as they are, so that their next input need not begin at the first. */
const liveLimit = 4000;

/**
 * Everything that tabs were seen to do, by their inputs.
 *
 * A tab's code is deterministic: what it does depends on its own inputs alone. So a tab that was given the same inputs once,
 * in whichever schedule and beside whichever others, need not run again, and two schedules in which each tab has had the
 * same inputs and the store holds the same have the same futures.
 */
export class Tree {
  readonly #setup: Setup;
  readonly #roots = new Map<number, Node>();
  readonly #live = new Map<Node, Tab>();
  /** Steps of the real tracker that were run. */
  runs = 0;
  nodes = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
  }

  root(salt: number): Node {
    const found = this.#roots.get(salt);
    if (found) return found;
    const tab = new Tab(this.#setup, salt);
    const node = this.#node(undefined, undefined, [], tab, salt);
    this.#roots.set(salt, node);
    return node;
  }

  /** @returns a promise where that was never seen */
  step(node: Node, input: Input): Node | Promise<Node> {
    const key = inputKey(input, this.#setup.feed);
    return node.children.get(key) ?? this.#run(node, input, key);
  }

  async #run(node: Node, input: Input, key: string): Promise<Node> {
    const tab = this.#live.get(node) ?? (await this.#replay(node));
    this.#live.delete(node);
    this.runs++;
    const outputs = await tab.step(input);
    const child = this.#node(node, input, outputs, tab, node.salt);
    node.children.set(key, child);
    return child;
  }

  async #replay(node: Node): Promise<Tab> {
    const inputs: Input[] = [];
    for (let at: Node | undefined = node; at?.input; at = at.parent) inputs.push(at.input);
    const tab = new Tab(this.#setup, node.salt);
    for (const input of inputs.reverse()) await tab.step(input);
    this.runs += inputs.length;
    return tab;
  }

  #node(parent: Node | undefined, input: Input | undefined, outputs: readonly Output[], tab: Tab, salt: number): Node {
    const node = { id: this.nodes++, parent, input, outputs, view: tab.view, children: new Map(), salt };
    this.#live.set(node, tab);
    const [oldest] = this.#live.keys();
    if (this.#live.size > liveLimit && oldest) this.#live.delete(oldest);
    return node;
  }
}

function inputKey(input: Input, feed: Feed): string {
  switch (input.type) {
    case 'operation':
      return input.operation;
    case 'answer':
      return `${input.call}:${answerKey(input.answer, feed)}`;
    case 'message':
      return `m${keyOf(input.checkpoint, feed)}`;
    case 'timer':
      return 't';
  }
}

export function answerKey(answer: Answer, feed: Feed): string {
  switch (answer.type) {
    case 'stands':
      return keyOf(answer.checkpoint, feed);
    case 'result':
      return `${answer.result.outcome}${keyOf(answer.result.stands, feed)}`;
    case 'failed':
      return '!';
  }
}
