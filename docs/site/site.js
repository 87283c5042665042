// The manual's pages work without it: it adds a search, and a button to copy code.
const script = document.currentScript;
const docs = script instanceof HTMLScriptElement ? (script.dataset.docs ?? './') : './';

for (const pre of document.querySelectorAll('pre')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(pre.textContent ?? '');
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  const box = document.createElement('div');
  box.className = 'code';
  pre.replaceWith(box);
  box.append(pre, button);
}

const contents = document.querySelector('.contents');
const here = contents?.querySelector('[aria-current]');
if (contents && here instanceof HTMLElement) contents.scrollTop = here.offsetTop - contents.clientHeight / 2;

/** @typedef {{ href: string; page: string; heading: string; text: string }} Entry */
const field = document.querySelector('#search');
const list = document.querySelector('#results');
const found = document.querySelector('#found');
const box = document.querySelector('.search');
if (field instanceof HTMLInputElement && list instanceof HTMLElement && found && box instanceof HTMLElement) {
  /** @type {Promise<Entry[]> | undefined} */
  let entries;
  const load = () => (entries ??= fetch(`${docs}search.json`).then((response) => response.json()));
  const show = async () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = await load();
    const best = words.length === 0 ? [] : search(all, words).slice(0, 12);
    list.replaceChildren(...best.map((entry) => itemOf(entry, words)));
    list.hidden = words.length === 0;
    if (words.length > 0 && best.length === 0) list.append(lineOf('p', 'Nothing found'));
    found.textContent = words.length === 0 ? '' : best.length === 1 ? '1 place' : `${best.length} places`;
  };
  box.hidden = false;
  field.addEventListener('focus', load, { once: true });
  field.addEventListener('input', show);
  box.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')];
    const at = links.findIndex((link) => link === document.activeElement);
    if (event.key === 'Escape') {
      field.value = '';
      list.hidden = true;
      field.focus();
    } else if (event.key === 'Enter' && at < 0) links[0]?.click();
    else if (event.key === 'ArrowDown') links[Math.min(at + 1, links.length - 1)]?.focus();
    else if (event.key === 'ArrowUp') (links[at - 1] ?? field).focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    field.focus();
  });
  document.addEventListener('click', (event) => {
    if (!(event.target instanceof Node) || !box.contains(event.target)) list.hidden = true;
  });
  list.addEventListener('click', () => (list.hidden = true));
}

/**
 * The sections that have all words: those with them in the heading first, then in the page's title, then in the text.
 * @param {Entry[]} all
 * @param {string[]} words
 */
function search(all, words) {
  return all
    .map((entry) => {
      const texts = [entry.heading, entry.page, entry.text].map((text) => text.toLowerCase());
      const scores = words.map((word) => {
        const weight = [8, 3, 1].findIndex((_, i) => texts[i]?.includes(word));
        return weight < 0 ? 0 : ([8, 3, 1][weight] ?? 0) + (texts[0] === word ? 8 : 0);
      });
      return { entry, score: scores.includes(0) ? 0 : scores.reduce((sum, one) => sum + one, 0) };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ entry }) => entry);
}

/**
 * @param {Entry} entry
 * @param {string[]} words
 */
function itemOf({ href, page, heading, text }, words) {
  const item = document.createElement('li');
  const link = document.createElement('a');
  link.href = docs + href;
  const at = text.lastIndexOf(' ', Math.max(0, text.toLowerCase().indexOf(words[0] ?? '') - 40)) + 1;
  const excerpt = `${at > 0 ? '… ' : ''}${text.slice(at, at + 110).replace(/\s+\S*$/, '')} …`;
  link.append(lineOf('strong', heading), lineOf('span', heading === page ? '' : page), lineOf('small', excerpt));
  item.append(link);
  return item;
}

/**
 * @param {string} tag
 * @param {string} text
 */
function lineOf(tag, text) {
  const line = document.createElement(tag);
  line.textContent = text;
  return line;
}
