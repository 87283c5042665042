import { element, show } from './element.ts';

/** One of several, as radio buttons in a row. */
export interface Choice {
  readonly label: string;
  readonly hint?: string;
}

/** @returns a function that shows which one is chosen */
export function makeChoice(
  id: string,
  choices: Readonly<Record<string, Choice>>,
  onChoice: (value: string) => void,
): (value: string) => void {
  const target = element(id);
  const hint = document.getElementById(`${id}-hint`);
  const inputs = new Map<string, HTMLInputElement>();
  for (const [value, { label }] of Object.entries(choices)) {
    const input = document.createElement('input');
    Object.assign(input, { type: 'radio', name: id, value, onchange: () => onChoice(value) });
    input.dataset.testid = `${id}-${value}`;
    inputs.set(value, input);
    const box = document.createElement('label');
    box.append(input, label);
    target.append(box);
  }
  return (value) => {
    for (const [each, input] of inputs) input.checked = each === value;
    if (hint) show(hint, choices[value]?.hint ?? '');
  };
}
