import { Offset, OffsetTracker, InMemoryOffsetStore, resume, sse, type SseOptions } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { answering } from './answers.ts';
import { openOnce } from './opening.ts';

/** Reads one answer of some chunks. */
const read = (chunks: readonly string[], options: SseOptions = {}, from = Offset.custom('0')) =>
  openOnce(sse('/feed', { ...answering(chunks), ...options }), { from });
const event = (id: string, data: string): string => `id: ${id}\ndata: ${data}\n\n`;

describe('events of one id', () => {
  test('that arrive together are recorded with the last of them', async () => {
    const { places, warnings } = await read([event('1', '1a') + event('1', '1b') + event('2', '2a')]);
    expect(places).toEqual(['-', 'custom:1', 'custom:2']);
    expect(warnings).toEqual(['shared-offset']);
  });

  test('of which one arrives later are all delivered, and the position is told once', async () => {
    const { places, events, messages } = await read([event('1', '1a'), event('1', '1b') + event('1', '1c')]);
    expect(places).toEqual(['custom:1', '-', '-']);
    expect(events.map(({ data }) => data)).toEqual(['1a', '1b', '1c']);
    expect(messages[0]).toMatch(/have the id "1".*sharedIds/);
  });

  test('between which reading stops come again after a restart', async () => {
    const store = new InMemoryOffsetStore();
    const together = [event('1', '1a') + event('1', '1b')];
    const { fetch, asked } = answering(together, together);
    const first: string[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', sse('/feed', { fetch })))
      if (first.push(data) === 2) break;
    const second: string[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', sse('/feed', { fetch })))
      if (second.push(data) === 2) break;
    expect([first, second]).toEqual([
      ['1a', '1b'],
      ['1a', '1b'],
    ]);
    expect(asked.map(({ id }) => id)).toEqual([null, null]);
  });

  test('are recorded by a heartbeat once another id has come, where ids are said to be shared', async () => {
    const chunks = [event('1', '1a'), event('1', '1b'), event('2', '2a'), event('2', '2b')];
    const { places, events, warnings } = await read(chunks, {
      sharedIds: true,
    });
    expect(places).toEqual(['-', '-', 'custom:1', '-', '-']);
    expect(events.map(({ data }) => data)).toEqual(['1a', '1b', '2a', '2b']);
    expect(warnings).toEqual([]);
  });

  test('are recorded by an id alone too, where it is another one', async () => {
    const chunks = [event('1', '1a'), 'id: 1\n\n', event('1', '1b'), 'id: 2\n\n'];
    const { places } = await read(chunks, { sharedIds: true });
    expect(places).toEqual(['-', '-', '-', 'custom:1', 'custom:2']);
  });

  test('may be followed by their id alone', async () => {
    const { places, warnings } = await read([event('1', 'a'), 'id: 1\n\n', event('2', 'b')]);
    expect([places, warnings]).toEqual([['custom:1', 'custom:1', 'custom:2'], []]);
    const together = await read([`${event('1', 'a')}id: 1\n\n${event('2', 'b')}`]);
    expect([together.places, together.warnings]).toEqual([['custom:1', 'custom:1', 'custom:2'], []]);
  });
});

describe('an event without an id', () => {
  test('has no offset, and the last event id', async () => {
    const { events, warnings } = await read(['data: a\n\nid: 7\ndata: b\n\ndata: c\n\n']);
    expect(events.map(({ id, offset }) => [id, offset])).toEqual([
      ['0', undefined],
      ['7', Offset.custom('7')],
      ['7', undefined],
    ]);
    expect(warnings).toEqual([]);
  });

  test('is no place to go on from: where none has an id, that is said', async () => {
    const nine = await read(['data: x\n\n'.repeat(9)]);
    const ten = await read(['data: x\n\n'.repeat(30)]);
    expect([nine.warnings, ten.warnings]).toEqual([[], ['no-ids']]);
    expect(ten.messages[0]).toMatch(/^the events of "orders" have no ids: no place .* the option `offset`$/);
    const nothing = await read(['id:\n\n'.repeat(30)]);
    expect(nothing.warnings, 'ids without events').toEqual([]);
    const some = await read([`id: 1\n\n${'data: x\n\n'.repeat(30)}`]);
    expect(some.warnings).toEqual([]);
  });

  test('gets its offset from its data where a function reads it', async () => {
    const offset: NonNullable<SseOptions['offset']> = (id, { type, data }) =>
      type === 'control' ? Offset.custom(JSON.parse(data).next) : id === '' ? undefined : Offset.custom(id);
    const chunk = 'data: a\n\ndata: b\n\nevent: control\ndata: {"next":"0_2"}\n\n';
    const { places, warnings } = await read([chunk.repeat(6)], { offset });
    expect(places.slice(0, 3)).toEqual(['-', '-', 'custom:0_2']);
    expect(warnings).toEqual([]);
  });
});

describe('a function that makes offsets', () => {
  test('of ids alone is not asked where there is none', async () => {
    const asked: string[] = [];
    const offset = (id: string) => Offset.custom(String(asked.push(id)));
    const { events } = await read([`data: a\n\n${event('7', 'b')}id:\ndata: c\n\n`], { offset });
    expect([asked, events.length]).toEqual([['7'], 3]);
  });

  test('and never makes one is warned of, as where no event has an id', async () => {
    const { warnings } = await read(['data: x\n\n'.repeat(30)], { offset: (_id, _message) => undefined });
    expect(warnings).toEqual(['no-ids']);
  });
});

describe('an empty id', () => {
  test('takes the last one back: the next request sends none', async () => {
    const { fetch, asked } = answering(['id: 1\ndata: one\n\nid:\ndata: two\n\ndata: three\n\n']);
    const ids: string[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const swift = { minDelayMs: 0, maxDelayMs: 0 };
    for await (const { id } of resume(tracker, 'orders', sse('/feed', { fetch }), swift)) ids.push(id);
    expect(ids).toEqual(['1', '', '']);
    expect(asked.map(({ id }) => id)).toEqual([null, null]);
  });

  test('moves the position once, and never where offsets are made of ids', async () => {
    const chunks = ['id: 1\ndata: a\n\n', 'id:\ndata: b\n\n', 'id:\ndata: c\n\n', 'id:\n\n', 'id: 2\ndata: d\n\n'];
    expect((await read(chunks)).places).toEqual(['custom:1', 'custom:', '-', '-', 'custom:2']);
    const { places } = await read(chunks, { offset: Offset.sequence }, Offset.sequence(0));
    expect(places).toEqual(['seq:1', '-', '-', '-', 'seq:2']);
  });

  test('on every event is as good as none', async () => {
    const { places, warnings } = await read(['id:\ndata: x\n\n'.repeat(12)], {}, Offset.earliest);
    expect(new Set(places)).toEqual(new Set(['-']));
    expect(warnings).toContain('no-ids');
    expect(warnings).not.toContain('shared-offset');
  });
});
