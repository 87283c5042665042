/** A change of the harbour book: what an offline-first page pulls. Nothing in it says what the outcome is, only what is added. */
export type Change = { readonly n: number; readonly ship: number; readonly harbour: string } & (
  | { readonly kind: 'arrives'; readonly name: string; readonly tons: number }
  | { readonly kind: 'loads'; readonly tons: number }
  | { readonly kind: 'leaves' }
);

/** A page of changes, as the server sends it. */
export interface ChangePage {
  readonly changes: readonly Change[];
  /** The number of the newest change there is. */
  readonly head: number;
}

export interface Ship {
  readonly id: number;
  readonly name: string;
  readonly harbour: string;
  readonly tons: number;
}

/** What all changes so far have made: each counter is a name and a number, both lists are in the order of their keys. */
export interface Book {
  readonly counters: readonly (readonly [name: string, count: number])[];
  readonly ships: readonly Ship[];
}

export const harbours = ['Bergen', 'Cork', 'Husum', 'Ostend', 'Roscoff', 'Vigo', 'Whitby'] as const;
const names = ['Alma', 'Brise', 'Clara', 'Doris', 'Elbe', 'Freya', 'Greta', 'Hilde', 'Iris', 'Juno', 'Kea'] as const;
/** How many ships are in port at a time. */
const berths = 12;

/** The n-th change, from 1: the same for everybody who asks. Of four changes one is an arrival and one a departure. */
export function change(n: number): Change {
  const [newest, step] = [Math.floor((n - 1) / 4), (n - 1) % 4];
  const tons = 1 + ((n * 7919) % 97);
  if (step === 0) return { n, ...berthOf(newest), kind: 'arrives', name: nameOf(newest), tons };
  if (step === 3 && newest >= berths) return { n, ...berthOf(newest - berths), kind: 'leaves' };
  return { n, ...berthOf(Math.max(0, newest - step * 2)), kind: 'loads', tons };
}

/** The book after the first `n` changes, as the server has it. */
export function bookAfter(n: number): Book {
  const counters = new Map<string, number>();
  const ships = new Map<number, Ship>();
  const add = (name: string, count: number): void => void counters.set(name, (counters.get(name) ?? 0) + count);
  for (let i = 1; i <= n; i++) {
    const { ship: id, harbour, ...what } = change(i);
    add('changes', 1);
    add(`${harbour} ${what.kind}`, 1);
    if (what.kind === 'leaves') {
      ships.delete(id);
      continue;
    }
    add(`${harbour} tons`, what.tons);
    const before = ships.get(id);
    if (what.kind === 'arrives') ships.set(id, { id, name: what.name, harbour, tons: what.tons });
    else if (before) ships.set(id, { ...before, tons: before.tons + what.tons });
  }
  return {
    counters: [...counters].sort(([a], [b]) => (a < b ? -1 : 1)),
    ships: [...ships.values()].sort((a, b) => a.id - b.id),
  };
}

/** A book as text: two that are the same are the same bytes. */
export function canonical({ counters, ships }: Book): string {
  return JSON.stringify({
    counters: counters.map(([name, count]) => [name, count]),
    ships: ships.map(({ id, name, harbour, tons }) => ({ id, name, harbour, tons })),
  });
}

function berthOf(ship: number): { ship: number; harbour: string } {
  return { ship, harbour: harbours[(ship * 3) % harbours.length] ?? harbours[0] };
}

function nameOf(ship: number): string {
  return `${names[ship % names.length] ?? names[0]} ${1 + Math.floor(ship / names.length)}`;
}
