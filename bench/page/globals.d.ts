// What a page of a benchmark is told from outside.
declare function start(name: string, args: readonly [quick: boolean, ...unknown[]]): Promise<void>;
declare function round(): Promise<{ amount: number; ms: number }>;
