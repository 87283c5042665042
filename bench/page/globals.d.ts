/** What a tab of a benchmark offers to who drives it. */
interface Window {
  pair: typeof import('./tabs.js').pair;
}
