// Breaks the sources one way after another, and sees whether the model check notices: `npm run model:mutations`.
// A number or a word of a name as an argument runs those alone.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.js';
import { mutations } from './mutations.list.js';

const root = join(import.meta.dirname, '../..');
const wanted = process.argv[2];
/** Where the whole small check takes a minute, what takes this long, in ms, does not end. */
const limitMs = 600_000;

let survivors = 0;
let found = 0;
for (const [index, mutation] of mutations.entries()) {
  if (wanted !== undefined && wanted !== String(index + 1) && !mutation.name.includes(wanted)) continue;
  const started = performance.now();
  const { isFound, how } = await tryOut(mutation);
  if (isFound) found++;
  else survivors++;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${isFound ? 'found   ' : 'SURVIVED'} ${index + 1}. ${mutation.name} (${seconds} s): ${how}`);
}
console.log(`${found} found, ${survivors} survived`);
process.exitCode = survivors > 0 || found === 0 ? 1 : 0;

/** @param {typeof mutations[number]} mutation */
async function tryOut({ file, text, by, plan }) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-mutation-'));
  try {
    for (const part of ['src', 'test/model', 'test/random.ts', 'package.json']) {
      cpSync(join(root, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir');
    const path = join(folder, 'src', file);
    const source = readFileSync(path, 'utf8');
    const times = source.split(text).length - 1;
    if (times !== 1) return { isFound: false, how: `its text stands ${times} times in ${file}: mend the list` };
    writeFileSync(
      path,
      source.replace(text, () => by),
    );
    const model = join(folder, 'model.js');
    await bundle(folder, model);
    return await run(model, plan);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} model
 * @param {string} plan
 * @returns {Promise<{ isFound: boolean, how: string }>}
 */
function run(model, plan) {
  const env = { ...process.env, MODEL_OPERATIONS: '3', MODEL_SAMPLES: '0', MODEL_PLAN: plan };
  const child = spawn(process.execPath, [model], { env, timeout: limitMs });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const why = output.split('\n').find((line) => / \(\d[\d,]*\): /.test(line)) ?? output.slice(0, 300);
      resolve({ isFound: code !== 0, how: signal ? 'it does not end' : code === 0 ? 'nothing was noticed' : why });
    });
  });
}
