/** A bar for each side, with its spread, as SVG that reads on light and dark pages. */

const width = 800;
const labels = 340;
const bar = 22;
const gap = 8;

/**
 * @param {string} title
 * @param {readonly import('./report.js').Row[]} bars
 */
export function chart(title, bars) {
  const most = Math.max(...bars.map(({ figure }) => figure.most), Number.MIN_VALUE);
  const room = width - labels - 110;
  const x = (/** @type {number} */ value) => labels + (value / most) * room;
  const height = 44 + bars.length * (bar + gap);
  const named = bars.some(({ name }) => isOurs(name));
  const rows = bars.map(({ name, figure, text }, i) => {
    const { median, least, most: top } = figure;
    const y = 38 + i * (bar + gap);
    const middle = y + bar / 2;
    return [
      `<text x="${labels - 8}" y="${middle + 4}" text-anchor="end">${escape(name)}</text>`,
      `<rect x="${labels}" y="${y}" width="${Math.max(1, x(median) - labels).toFixed(1)}" height="${bar}" fill="${(named ? isOurs(name) : i > 0) ? '#2a7ab9' : '#9aa7b1'}"/>`,
      `<path d="M${x(least).toFixed(1)} ${middle}H${x(top).toFixed(1)}" stroke="#d9822b" stroke-width="2"/>`,
      `<text x="${(x(Math.max(top, median)) + 8).toFixed(1)}" y="${middle + 4}">${escape(text)}</text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    '<style>text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}</style>',
    `<title>${escape(title)}</title>`,
    `<text class="t" x="8" y="20">${escape(title)}</text>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}

/** Where no side says whose it is, all but the first are of this library. @param {string} name */
function isOurs(name) {
  return name.includes('tidemark') || name.includes('resume(');
}

/** @param {string} text */
function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
