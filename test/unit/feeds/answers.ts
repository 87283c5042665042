import type { FeedRequest, FeedResponse } from 'tidemark';

export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

export interface Asked {
  readonly url: string;
  readonly init: FeedRequest;
  /** The last event id that the server was sent. */
  readonly id: string | null;
}

type Chunks = readonly (string | Uint8Array<ArrayBuffer>)[];

/** Answers requests one after another, lists of chunks as event streams, and then with 204. */
export function answering(...answers: (Chunks | FeedResponse | Error)[]) {
  const asked: Asked[] = [];
  let pulled = 0;
  const fetch = async (url: string, init: FeedRequest): Promise<FeedResponse> => {
    asked.push({ url, init, id: init.headers.get('last-event-id') });
    const answer = answers.shift();
    if (answer === undefined) return new Response(null, { status: 204 });
    if (answer instanceof Error) throw answer;
    return 'status' in answer ? answer : streamOf(answer, {}, () => void pulled++);
  };
  return { fetch, asked, pulled: () => pulled };
}

export function streamOf(chunks: Chunks, headers = {}, onChunk = (): void => {}): Response {
  const left = chunks.map((chunk) => (typeof chunk === 'string' ? bytes(chunk) : chunk));
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        const chunk = left.shift();
        if (!chunk) return controller.close();
        onChunk();
        controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { 'content-type': 'text/event-stream;charset=utf-8', ...headers } });
}
