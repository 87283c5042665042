// Runs the model check outside vitest: `npm run model`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-model-'));
try {
  const file = join(folder, 'model.js');
  await bundle(join(import.meta.dirname, '../..'), file);
  process.exitCode = spawnSync(process.execPath, ['--max-old-space-size=3000', file], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
