// Not every supported browser has the symbol; code that `await using` is compiled to falls back on this one too.
export const asyncDispose: typeof Symbol.asyncDispose = /* @__PURE__ */ (() =>
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'))() as typeof Symbol.asyncDispose;
