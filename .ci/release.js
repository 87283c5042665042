// Whether what a tag names may be published: `node .ci/release.js v1.2.3`, in the folder of the package.
import { readFileSync } from 'node:fs';

const [tag] = process.argv.slice(2);
const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8'));
const headings = readFileSync('CHANGELOG.md', 'utf8')
  .split('\n')
  .filter((line) => /^## \[.+\] - \d{4}-\d\d-\d\d$/.test(line));

const missing = [];
if (tag !== `v${version}`) missing.push(`the tag is ${tag}, and package.json has version ${version}`);
if (!headings.some((line) => line.startsWith(`## [${version}] `))) {
  missing.push(`CHANGELOG.md has no heading "## [${version}] - <year>-<month>-<day>"`);
}
if (!repository) missing.push('package.json names no repository, which npm compares with where the provenance is from');

for (const sentence of missing) console.error(sentence);
process.exitCode = missing.length > 0 ? 1 : 0;
