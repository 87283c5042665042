/** A body that breaks off after so many bytes. */
export function cutAfter({ body }: Response, count: number): ReadableStream<Uint8Array> {
  let left = count;
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
  if (!body) throw new Error('no body');
  return body.pipeThrough(cut);
}
