import { afterEach, expect, test, vi } from 'vitest';
import { Offset } from '../../../src/offset.ts';
import type { Batch, StoreChange } from '../../../src/store.ts';
import { TabChannel } from '../../../src/tabs/channel.ts';

const opened: { close(): void }[] = [];
let next = 0;

afterEach(() => {
  for (const channel of opened.splice(0)) channel.close();
  vi.unstubAllGlobals();
});

test('one message carries the whole batch of a store write to every other tab', async () => {
  const { one, two, heard } = pair();
  const other = follow(two);
  const batch = new Map([
    ['orders', at(2n ** 64n - 1n)],
    ['\ud800', { ...at(1n), offset: undefined }],
    ['', { ...at(1n), offset: Offset.timestamp(5) }],
  ]);
  one.post({ type: 'commit', batch });
  one.post({ type: 'clearAll' });
  await expect.poll(() => heard).toEqual([{ type: 'commit', batch }, { type: 'clearAll' }]);
  await expect.poll(() => other).toEqual(heard);
});

test('a tab does not hear itself', async () => {
  const { one, heard } = pair();
  const own = follow(one);
  one.post({ type: 'clearAll' });
  await expect.poll(() => heard).toHaveLength(1);
  expect(own).toEqual([]);
});

test('what is not of this format is ignored and counted', async () => {
  const { one, two, name, heard } = pair();
  const stranger = new BroadcastChannel(`tidemark/1/${name}`);
  opened.push(stranger);
  const hostile: unknown[] = [
    null,
    'commit',
    { type: 'health', error: new Error('no') },
    { type: 'commit' },
    { type: 'commit', batch: new Map([['orders', at(1n)]]), generation: 7 },
    { type: 'commit', batch: [['orders', at(1n)]] },
    { type: 'commit', batch: new Map([[1, at(1n)]]) },
    { type: 'commit', batch: new Map([['orders', { ...at(1n), epoch: -1 }]]) },
    { type: 'commit', batch: new Map([['orders', { ...at(1n), rank: 0.3 }]]) },
    { type: 'commit', batch: new Map([['orders', { ...at(1n), committedAt: Number.NaN }]]) },
    { type: 'commit', batch: new Map([['orders', { ...at(1n), offset: { kind: 'sequence', value: -1n } }]]) },
    { type: 'commit', batch: new Map([['orders', { ...at(1n), offset: { kind: 'other' } }]]) },
    {
      type: 'commit',
      batch: new Map<string, unknown>([
        ['orders', at(1n)],
        ['other', undefined],
      ]),
    },
  ];
  for (const message of hostile) stranger.postMessage(message);
  one.post({ type: 'clearAll' });
  await expect.poll(() => heard).toEqual([{ type: 'clearAll' }]);
  await expect.poll(() => two.malformedMessages).toBe(hostile.length);
});

test('a tab that only writes is heard, and keeps no channel open', async () => {
  const { one, heard } = pair();
  const close = vi.spyOn(BroadcastChannel.prototype, 'close');
  one.post({ type: 'clearAll' });
  expect(close).toHaveBeenCalledTimes(1);
  close.mockRestore();
  await expect.poll(() => heard).toHaveLength(1);
});

test('a suspended tab hears nothing, is heard, and hears again when it wakes', async () => {
  const { one, two, heard } = pair();
  const other = follow(one);
  two.suspend();
  one.post({ type: 'clearAll' });
  two.post({ type: 'clearAll' });
  await expect.poll(() => other).toHaveLength(1);
  two.wake();
  one.post({ type: 'commit', batch: new Map() });
  await expect.poll(() => heard).toEqual([{ type: 'commit', batch: new Map() }]);
});

test('nobody hears after the last listener has left', async () => {
  const { one, two, heard } = pair();
  const late: StoreChange[] = [];
  two.close();
  two.subscribe((change) => late.push(change))();
  const other = follow(two);
  one.post({ type: 'clearAll' });
  await expect.poll(() => other).toHaveLength(1);
  expect([heard, late]).toEqual([[], []]);
});

test('where there is no BroadcastChannel everything works in silence', () => {
  vi.stubGlobal('BroadcastChannel', undefined);
  const { one, heard } = pair();
  one.post({ type: 'clearAll' });
  one.suspend();
  one.wake();
  expect(heard).toEqual([]);
});

test('what cannot be posted does not break the write that it tells of', () => {
  vi.spyOn(BroadcastChannel.prototype, 'postMessage').mockImplementationOnce(() => {
    throw new DOMException('closed', 'InvalidStateError');
  });
  const { one } = pair();
  one.post({ type: 'clearAll' });
});

test('failing and working again are told once each', () => {
  const { two, heard } = pair();
  const error = new Error('disk');
  for (const state of [undefined, error, new Error('again'), undefined, undefined]) two.health(state);
  expect(heard).toEqual([{ type: 'health', error }, { type: 'health' }]);
});

function pair(): { name: string; one: TabChannel; two: TabChannel; heard: StoreChange[] } {
  const name = `test ${Date.now()} ${next++}`;
  const commit = async (batch: Batch): Promise<Batch> => batch;
  const [one, two] = [new TabChannel(name, commit), new TabChannel(name, commit)];
  opened.push(one, two);
  return { name, one, two, heard: follow(two) };
}

function follow(channel: TabChannel): StoreChange[] {
  const heard: StoreChange[] = [];
  channel.subscribe((change) => heard.push(change));
  return heard;
}

function at(value: bigint) {
  return { epoch: 0, rank: 1, offset: Offset.sequence(value), committedAt: 1 };
}
