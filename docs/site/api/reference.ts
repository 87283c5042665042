import { slugger } from '../slug.ts';
import { type Doc, defaultIn, withoutDefault } from './doc.ts';
import type { Entry, Export, Kind, Member } from './model.ts';

/** The reference as Markdown: every exported name, under the path it is imported from. */
export function referenceOf(entries: readonly Entry[]): string {
  return `${new Reference(entries).text()}\n`;
}

const headings: Readonly<Record<Kind, string>> = {
  value: 'Functions and classes',
  options: 'Options',
  type: 'Types',
  error: 'Errors',
};

class Reference {
  readonly #entries: readonly Entry[];
  readonly #lines: string[] = [];
  /** Where each name has its section. */
  readonly #links = new Map<string, string>();

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    const slug = slugger();
    slug(title);
    for (const { path, exports } of entries) {
      slug(path);
      for (const one of sorted(exports)) this.#place(one, slug);
    }
  }

  text(): string {
    this.#add(
      `# ${title}`,
      'Every name that tidemark exports, with its signature, and every option with its type, default and unit.',
      '<!-- Written from the types by `npm run docs:reference`; a test compares the two. Change the docstrings in src. -->',
      'Durations are in milliseconds, and their names end in `Ms`. An option whose default is "none" does nothing where it is left out.',
      this.#entries
        .map(({ path, exports }) => `- [\`${path}\`](#${slugger()(path)}): ${this.#names(exports)}`)
        .join('\n'),
    );
    for (const { path, exports } of this.#entries) {
      this.#add(`## ${path}`, this.#contents(exports));
      for (const one of sorted(exports)) this.#section(one);
    }
    return this.#lines.join('\n\n');
  }

  #place(one: Export, slug: (text: string) => string): void {
    const { name, path } = one;
    this.#links.set(key(path, name), `#${slug(name)}`);
    for (const member of sectionsOf(one)) {
      this.#links.set(key(path, `${name}.${member.name}`), `#${slug(`${name}.${member.name}`)}`);
    }
  }

  #add(...blocks: readonly string[]): void {
    this.#lines.push(...blocks.filter(Boolean));
  }

  #names(exports: readonly Export[]): string {
    const values = sorted(exports).filter(({ kind }) => kind === 'value');
    return values.map(({ name, path }) => this.#link(name, path)).join(', ');
  }

  /** The names of a path, by kind. */
  #contents(exports: readonly Export[]): string {
    const rows = Object.entries(headings).map(([kind, heading]) => {
      const found = sorted(exports).filter((one) => one.kind === kind);
      return found.length === 0
        ? ''
        : `- ${heading}: ${found.map(({ name, path }) => this.#link(name, path)).join(', ')}`;
    });
    return rows.filter(Boolean).join('\n');
  }

  #section(one: Export): void {
    const { name, path, kind, signature, doc, members, bases, isPlain } = one;
    this.#add(
      `### ${name}`,
      importOf(one),
      says(signature) ? code([signature, one.constructor?.signature ?? ''].filter(Boolean).join('\n\n')) : '',
    );
    this.#doc(doc, path);
    if (one.constructor) this.#doc(one.constructor.doc, path);
    if (!isPlain)
      this.#table(
        kind,
        members.filter((member) => !sectionsOf(one).includes(member)),
        path,
      );
    for (const { name: base, members: inherited } of bases) {
      this.#add(`With those of ${this.#link(base, path)}: ${inherited.map((member) => `\`${member}\``).join(', ')}.`);
    }
    this.#mentions(one);
    for (const member of sectionsOf(one)) this.#member(one, member);
  }

  #member({ name, path }: Export, member: Member): void {
    this.#add(`#### ${name}.${member.name}`, code(member.signature));
    this.#doc(member.doc, path);
  }

  #doc({ text, params, returns, throws, examples }: Doc, path: string): void {
    const list = [
      ...params.map(({ name, text: about }) => `- \`${name}\`: ${inItem(about)}`),
      ...(returns ? [`- Returns ${inItem(returns)}`] : []),
      ...throws.map((about) => `- Throws ${inItem(about)}`),
    ];
    this.#add(this.#linked(text, path), this.#linked(list.join('\n'), path), ...examples.map(code));
  }

  #table(kind: Kind, members: readonly Member[], path: string): void {
    if (members.length === 0) return;
    const isOptions = kind === 'options';
    const rows = members.map(({ name, isOptional, type, doc }) => {
      const fallback = isOptional ? spelled(name, defaultIn(doc.text) ?? '') : 'required';
      const about = isOptions && isOptional ? withoutDefault(doc.text) : doc.text;
      const cells = [
        `\`${name}\``,
        this.#type(type, path),
        ...(isOptions ? [fallback] : []),
        this.#linked(about, path),
      ];
      return `| ${cells.map(inCell).join(' | ')} |`;
    });
    const head = isOptions ? ['option', 'type', 'default', 'meaning'] : ['property', 'type', 'meaning'];
    this.#add([`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows].join('\n'));
  }

  #type(type: string, path: string): string {
    const [, name = '', rest = ''] = /^([A-Z]\w+)( \| undefined)?$/.exec(type) ?? [];
    if (!this.#find(name, path)) return `\`${type}\``;
    return `${this.#link(name, path)}${rest && ` \`${rest.trim()}\``}`;
  }

  /** Links to the exported names that the signature mentions. */
  #mentions({ name, path, signature, constructor, members, bases }: Export): void {
    const text = [signature, constructor?.signature, ...members.map(({ signature: own }) => own)].join(' ');
    const known = new Set(bases.map(({ name: base }) => base));
    const words = [...new Set(text.match(/\b[A-Z]\w+/g))].filter((word) => word !== name && !known.has(word));
    const links = words.filter((word) => this.#find(word, path)).map((word) => this.#link(word, path));
    if (links.length > 0) this.#add(`See also ${links.sort().join(', ')}.`);
  }

  #linked(text: string, path: string): string {
    return text.replace(/\{@link ([\w.]+)\}/g, (_, name: string) => this.#link(name, path));
  }

  #link(name: string, path: string): string {
    const target = this.#find(name, path) ?? this.#find(name.split('.')[0] ?? '', path);
    return target ? `[\`${name}\`](${target})` : `\`${name}\``;
  }

  /** A name of the same path, or else of another. */
  #find(name: string, path: string): string | undefined {
    const paths = [path, ...this.#entries.map((entry) => entry.path)];
    return paths.map((one) => this.#links.get(key(one, name))).find(Boolean);
  }
}

const title = 'API reference';

function key(path: string, name: string): string {
  return `${path} ${name}`;
}

const order = Object.keys(headings);

function sorted(exports: readonly Export[]): Export[] {
  return [...exports].sort(
    (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1),
  );
}

/** The members that have a section of their own: methods, but not those among options. */
function sectionsOf({ kind, members, isPlain }: Export): Member[] {
  if (kind === 'options' || isPlain) return [];
  return members.filter(({ isMethod, doc }) => isMethod || doc.examples.length > 0 || doc.text.includes('\n\n'));
}

function importOf({ name, path, kind }: Export): string {
  const isType = kind === 'options' || kind === 'type';
  return `\`import ${isType ? 'type ' : ''}{ ${name} } from '${path}'\``;
}

/** Whether a signature says more than the heading does. */
function says(signature: string): boolean {
  return !/^interface \w+$/.test(signature);
}

function code(text: string): string {
  return `\`\`\`ts\n${text}\n\`\`\``;
}

/** A default as code, where it is a value, with its unit. */
function spelled(name: string, value: string): string {
  const unit = name.endsWith('Ms') ? ' ms' : name.endsWith('Bytes') ? ' bytes' : '';
  if (/^[\d.,]+$/.test(value)) return `${value}${unit}`;
  return /^('.*'|true|false)$/.test(value) ? `\`${value}\`` : value;
}

function inItem(text: string): string {
  return text.replace(/\n+/g, '\n  ');
}

/** On one line, with the sign that parts cells escaped. */
function inCell(text: string): string {
  return text.replace(/\n\n+/g, '<br><br>').replace(/\n- /g, '<br>• ').replace(/\n/g, ' ').replaceAll('|', '\\|');
}
