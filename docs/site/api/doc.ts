import ts from 'typescript-5.6';

/** A docstring in its parts, each as Markdown. */
export interface Doc {
  readonly text: string;
  readonly params: readonly { readonly name: string; readonly text: string }[];
  readonly returns: string;
  readonly throws: readonly string[];
  readonly examples: readonly string[];
  readonly isInternal: boolean;
}

/** The docstring of the first of these declarations that has one. */
export function docOf(declarations: readonly ts.Node[]): Doc {
  const found = declarations.map(read);
  return found.find((doc) => doc.text || doc.isInternal || doc.params.length > 0 || doc.examples.length > 0) ?? empty;
}

const empty: Doc = { text: '', params: [], returns: '', throws: [], examples: [], isInternal: false };

function read(node: ts.Node): Doc {
  const parts = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).slice(-1);
  const tags = parts.flatMap(({ tags: own }) => [...(own ?? [])]);
  const named = (name: string): string[] =>
    tags.filter(({ tagName }) => tagName.text === name).map(({ comment }) => textOf(comment));
  return {
    text: parts.map(({ comment }) => textOf(comment)).join('\n\n'),
    params: tags
      .filter(ts.isJSDocParameterTag)
      .map(({ name, comment }) => ({ name: name.getText(), text: textOf(comment) })),
    returns: named('returns').join('\n'),
    throws: named('throws'),
    examples: named('example'),
    isInternal: tags.some(({ tagName }) => tagName.text === 'internal'),
  };
}

function textOf(comment: ts.JSDoc['comment']): string {
  return (ts.getTextOfJSDocComment(comment) ?? '').trim();
}

/** The default that a docstring states: what follows its word "default", without a point inside of a name. */
export function defaultIn(text: string): string | undefined {
  const found = /(?<![,\w] the )\bdefault:?\s+(?<value>\S[^]*)/i.exec(text)?.groups?.value;
  if (found === undefined) return undefined;
  const literal = /^(?:'[^']*'|`[^`]*`|-?[\d.,]*\d(?:\^\d+)?|true|false|none)(?=[.,;:)]|$)/.exec(found)?.[0];
  return (literal ?? /^(?:`[^`]*`|[^.;`]|[.;](?!\s|$))*/.exec(found)?.[0] ?? '').trim().replace(/\s+/g, ' ');
}

/** What is left to say once a column of its own says the default. */
export function withoutDefault(text: string): string {
  const value = defaultIn(text);
  if (value === undefined) return text;
  const spelled = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(' ', '\\s+');
  return text
    .replace(new RegExp(`\\s*Default:?\\s+${spelled}\\.(?=\\s|$)`), '')
    .replace(new RegExp(`[;,]\\s+default:?\\s+${spelled}(?=[.;](?:\\s|$)|$)`), '')
    .trim();
}
