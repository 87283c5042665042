/** The page's element of that id. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as T;
}

/** Sets a text where it changed: writing the same text again would cost layout. */
export function show(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function numeral(n: number): string {
  return n.toLocaleString('en');
}
