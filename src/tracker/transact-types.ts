import type { Change } from '../checkpoint.ts';
import type { Offset } from '../offset.ts';
import type { EffectTypes } from '../store.ts';

/**
 * What became of an effect: 'applied', it and its offset are stored; 'duplicate', the offset is stored already, and nothing
 * was done; 'fenced', the reading is void, and nothing was done.
 */
export type TransactOutcome = 'applied' | 'duplicate' | 'fenced';

/** The arguments that a store's `transact` takes after the change. */
export type TransactArguments<S> = S extends {
  transact(source: string, change: Change, ...effect: infer Arguments extends readonly unknown[]): unknown;
}
  ? Arguments
  : never[];

/** The types of a store's effects that depend on a scope; never where they do not. */
export type ScopedTypes<S> = S extends { readonly effectTypes?: infer Types } & { effectTypes?: unknown }
  ? 'effectTypes' extends keyof S
    ? Extract<NonNullable<Types>, EffectTypes>
    : never
  : never;

/** The transaction of a store over a scope. */
export type ScopedTx<Types extends EffectTypes, Scope> = (Types & { readonly scope: Scope })['tx'];

/** How `reading.transact` is called over a store. */
export type TransactCall<S> = [ScopedTypes<S>] extends [never]
  ? (offset: Offset, ...effect: TransactArguments<S>) => Promise<TransactOutcome>
  : <const Scope extends ScopedTypes<S>['scopes']>(
      offset: Offset,
      scope: Scope,
      effect: (tx: ScopedTx<ScopedTypes<S>, Scope>) => unknown,
    ) => Promise<TransactOutcome>;

/** The function among the ways to give a store an effect. */
type EffectOf<S> = Extract<TransactArguments<S>[0], (...args: never[]) => unknown>;

/** The transaction that an effect of a store is given; undefined where it is given none. */
export type TxOf<S> = EffectOf<S> extends (tx: infer Tx) => unknown ? (unknown extends Tx ? undefined : Tx) : undefined;

/** What an effect of a store returns: statements over D1, and anything elsewhere. */
export type EffectResult<S> =
  EffectOf<S> extends (...args: never[]) => infer Result ? (Result extends void ? unknown : Result) : unknown;
