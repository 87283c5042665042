import { join } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * Makes one file of the model check, which Node runs.
 * @param {string} root where `src` and `test` are
 * @param {string} file what to write
 */
export async function bundle(root, file) {
  const build = await rolldown({ input: join(root, 'test/model/run.ts'), platform: 'node', logLevel: 'silent' });
  await build.write({ file, format: 'esm', codeSplitting: false });
  await build.close();
}
