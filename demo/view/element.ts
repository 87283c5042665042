/** The page's element of that id. */
export function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Sets a text where it changed: writing the same text again would cost layout. */
export function show(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function numeral(n: number): string {
  return n.toLocaleString('en');
}
