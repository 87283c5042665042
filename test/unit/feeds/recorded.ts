/** A recorded event stream with all that the format knows, as blocks without their line ends. */
const blocks: readonly { readonly id?: string; readonly data?: string; readonly lines: readonly string[] }[] = [
  { lines: [': a greeting', 'retry: 0'] },
  { id: '1', data: 'plain', lines: ['id: 1', 'data: plain'] },
  { id: '2', data: 'größe 漢字 😀', lines: ['id: 2', 'event: order', 'data: größe 漢字 😀'] },
  { lines: [': still here'] },
  { id: '3', data: 'two\nlines\n', lines: ['id: 3', 'data: two', 'data: lines', 'data:'] },
  { id: '3b', lines: ['id: 3b'] },
  { id: '4', data: '{"a":1}', lines: ['data: {"a":1}', 'id: 4'] },
  { id: '5', data: ' no space', lines: ['id:5', 'data:  no space'] },
  { id: '6', data: '', lines: ['event: empty', 'id: 6', 'data'] },
  { id: '7', data: 'é', lines: ['unknown: x', 'id: ignored', 'id: 7', 'id: nul\0', ': between', 'data: é'] },
  { id: '日本', data: 'last', lines: ['id: 日本', 'data: last'] },
  { id: 'end', lines: ['id: end'] },
];

export const recordedIds = blocks.flatMap(({ id, data }) => (data === undefined ? [] : [id]));
export const recordedData = blocks.flatMap(({ data }) => (data === undefined ? [] : [data]));
export const lastRecordedId = 'end';

/** What may end a line; 'mixed': each block in another way. */
export type LineEnd = '\n' | '\r\n' | '\r' | 'mixed';
const lineEnds = ['\n', '\r\n', '\r'] as const;

/** The bytes of the recording after an event id. */
export function recordedAfter(id: string, lineEnd: LineEnd): Uint8Array<ArrayBuffer> {
  const text = blocks.map(({ lines }, i) => {
    const end = lineEnd === 'mixed' ? lineEnds[i % 3] : lineEnd;
    return [...lines, ''].map((line) => line + end).join('');
  });
  const start = id === '' ? 0 : blocks.findIndex((block) => block.id === id) + 1;
  return new TextEncoder().encode((id === '' ? '\uFEFF' : '') + text.slice(start).join(''));
}
