import { element } from './element.ts';

/** Which tab reads the feed, and how many others wait; that this one waits is its connection's state. */
export class TabsView {
  readonly #target = element('tabs');
  #shown = '';

  /** @param role what this tab does; undefined where no tab excludes the others */
  async draw(source: string, role: 'reader' | 'waiting' | undefined): Promise<void> {
    const queue = role === undefined ? 0 : await waiting(source);
    const others = role === 'waiting' ? queue - 1 : queue;
    const chips: [role: 'reader' | 'waiting', text: string][] = [];
    if (role === 'reader') chips.push(['reader', 'This tab reads']);
    else if (queue > 0) chips.push(['reader', 'Another tab reads']);
    if (others > 0) chips.push(['waiting', `${others} ${others === 1 ? 'other waits' : 'others wait'}`]);
    const shown = JSON.stringify(chips);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#target.replaceChildren(...chips.map(chip));
  }
}

/** How many tabs queue for the feed's lock. Asked of the browser, so that it tells what is and not what is thought. */
async function waiting(source: string): Promise<number> {
  const { pending = [] } = (await navigator.locks?.query()) ?? {};
  const isOurs = (name = '') => name.startsWith('tidemark') && name.includes(JSON.stringify(source));
  return new Set(pending.filter(({ name }) => isOurs(name)).map(({ clientId }) => clientId)).size;
}

function chip([role, text]: ['reader' | 'waiting', string]): HTMLSpanElement {
  const span = document.createElement('span');
  span.dataset.role = role;
  const dot = document.createElement('span');
  dot.className = 'dot';
  dot.ariaHidden = 'true';
  span.append(dot, text);
  return span;
}
