import { spawnSync } from 'node:child_process';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';

test('a store that listens to other tabs does not keep a Node process alive', async () => {
  const bundle = await rolldown({ input: 'src/tabs/channel.ts', cwd: process.cwd() });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  const script = `${output[0].code}
    new TabChannel('node', async (batch) => batch).subscribe(() => {});
    new TabChannel('node', async (batch) => batch).post({ type: 'clearAll' });
    console.log('listening');`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 15_000,
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'listening\n' });
});
