// What the README's code leaves to its reader.
declare function show(data: string): void | Promise<void>;
declare function save(data: string): Promise<void>;
declare function showNote(note: { n: number }): void;
declare function showConnection(state: string): void;

interface Env {
  readonly OFFSETS: import('tidemark/cloudflare-kv').CloudflareKVBinding;
  readonly DB: D1Database;
  readonly DONE: { put(key: string, value: string): Promise<void> };
  readonly PLACES: DurableObjectNamespace<import('tidemark/durable-object').OffsetsStub>;
  readonly INVOICES: DurableObjectNamespace<{ pull(): Promise<string[]> }>;
  readonly ORDERS: DurableObjectNamespace<{ fetch(request: Request): Promise<Response> }>;
  readonly API: { fetch(url: string): Promise<Response> };
}
