// What the demo and the tests use of the Workers runtime: no package of types of the platform is among the dependencies.
declare module 'cloudflare:workers' {
  export abstract class DurableObject<Env = unknown> {
    protected readonly ctx: DurableObjectState;
    protected readonly env: Env;
    constructor(ctx: DurableObjectState, env: Env);
  }
}

interface SqlStorage {
  exec(query: string, ...bindings: unknown[]): Iterable<Record<string, string | number | null>>;
}

interface DurableObjectState {
  readonly storage: {
    readonly sql: SqlStorage;
    transactionSync<T>(work: () => T): T;
    sync(): Promise<void>;
    deleteAll(): Promise<void>;
    get(key: string): Promise<unknown>;
    setAlarm(at: number): Promise<void>;
    getAlarm(): Promise<number | null>;
  };
  abort(reason?: string): void;
}

interface DurableObjectNamespace<Stub> {
  idFromName(name: string): unknown;
  get(id: unknown): Stub;
}

interface D1PreparedStatement {
  bind(...values: unknown[]): D1PreparedStatement;
  all(): Promise<{ readonly results: readonly Record<string, unknown>[] }>;
  first(column: string): Promise<unknown>;
  run(): Promise<unknown>;
}

interface D1Database {
  prepare(query: string): D1PreparedStatement;
  batch(statements: D1PreparedStatement[]): Promise<{ readonly results: readonly unknown[] }[]>;
}
