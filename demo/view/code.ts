import { element } from './element.ts';

/** Code with its comments and texts marked. */
export function showCode(id: string, code: string): void {
  const target = element(id);
  if (target.textContent === code) return;
  target.replaceChildren(
    ...code.split(/(\/\/.*$|'[^']*')/gm).map((part, i) => {
      if (i % 2 === 0) return document.createTextNode(part);
      const span = document.createElement('span');
      span.className = part.startsWith('//') ? 'comment' : 'text';
      span.textContent = part;
      return span;
    }),
  );
}
