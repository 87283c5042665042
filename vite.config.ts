import { resolve } from 'node:path';
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config';
import { feedServer } from './demo/server/plugin.ts';
import { manual } from './docs/site/plugin.ts';
import manifest from './package.json' with { type: 'json' };

const inBrowsersOnly = '**/*.browser.test.ts';
const inNodeOnly = '**/*.node.test.ts';
const unit = ['test/unit/**/*.test.ts'];
const setupFiles = 'test/unit/seed.ts';

export default defineConfig(async ({ mode }): Promise<ViteUserConfig> => ({
  // `vite` serves and builds the demo and the manual; `vitest`, in mode test, works on the whole repository.
  root: mode === 'test' ? '.' : 'demo',
  plugins: [feedServer(), manual()],
  resolve: { alias: sources() },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    rolldownOptions: {
      input: ['index.html', 'sync/index.html'].map((page) => resolve(import.meta.dirname, 'demo', page)),
    },
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A state is waited for as long as it takes on a busy machine.
    expect: { poll: { timeout: 50_000 } },
    coverage: { provider: 'istanbul', include: ['src/**'] },
    reporters: process.env.TEST_RESULTS ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]] : ['default'],
    projects: mode === 'test' ? await projects() : [],
  },
}));

/** The package under its own name, from its sources: neither the demo nor a test needs a build. */
export function sources() {
  return Object.entries(manifest.exports).flatMap(([subpath, target]) => {
    if (typeof target === 'string') return [];
    const file = target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts');
    return [{ find: new RegExp(`^tidemark${subpath.slice(1)}$`), replacement: resolve(import.meta.dirname, file) }];
  });
}

/** What tests import beside the package's own dependencies. */
const frameworks = ['react', 'react-dom', 'react-dom/client'];

type TestProject = NonNullable<TestProjectInlineConfiguration['test']> & {
  readonly alias?: readonly { readonly find: RegExp; readonly replacement: string }[];
};

// One after another, by groupOrder: each has the whole machine, so that no browser starves beside another.
async function projects(): Promise<TestProjectInlineConfiguration[]> {
  return [
    { name: 'node', include: [...unit, 'test/fuzz/**/*.test.ts'], exclude: [inBrowsersOnly], setupFiles },
    ...(await browsers()),
    ...(await react18()),
    { name: 'model', include: ['test/model/**/*.test.ts'] },
    { name: 'workerd', include: ['test/workerd/**/*.test.ts'] },
    { name: 'readme', include: ['test/readme/**/*.test.ts'] },
    { name: 'docs', include: ['test/docs/**/*.test.ts'] },
    { name: 'consumers', include: ['test/consumers/**/*.test.ts'], globalSetup: 'test/consumers/pack.ts' },
    { name: 'tabs', include: ['test/tabs/**/*.test.ts'], fileParallelism: false, testTimeout: 60_000 },
    { name: 'runtimes', include: ['test/runtimes/**/*.test.ts'] },
    { name: 'crash', include: ['test/crash/**/*.test.ts'], fileParallelism: false },
    {
      name: 'e2e',
      include: ['test/e2e/**/*.test.ts'],
      globalSetup: 'test/e2e/site.ts',
      fileParallelism: false,
      testTimeout: 600_000,
    },
  ].map(({ alias = [], ...test }: TestProject, groupOrder) => ({
    extends: true,
    resolve: { alias: [...alias] },
    // A dependency that is met only while tests run would reload the page under them.
    optimizeDeps: { include: [...Object.keys(manifest.dependencies), 'fast-check', ...frameworks] },
    test: { ...test, sequence: { groupOrder } },
  }));
}

/** The tests of the React hooks once more, with the lowest React; what they import as `react` is that one. */
async function react18(): Promise<TestProject[]> {
  const chromium = (await browsers()).find(({ browser }) => browser.instances.some(({ name }) => name === 'chromium'));
  if (!chromium) return [];
  const { provider } = chromium.browser;
  const instances = [{ browser: 'chromium' as const, name: 'react-18' }];
  return [
    {
      name: 'in chromium, with React 18',
      include: ['test/unit/react/*.browser.test.ts'],
      env: { VITE_REACT: '18' },
      alias: [{ find: /^react(-dom)?(?=$|\/)/, replacement: 'react$1-18' }],
      browser: { enabled: true, headless: true, screenshotFailures: false, provider, instances },
    },
  ];
}

async function browsers() {
  // Loaded here alone, so that the demo starts without Playwright.
  const { findBrowser, wantedEngines } = await import('./test/browsers/find.js');
  const { webkitgtk } = await import('./test/browsers/webkit-provider.ts');
  const { playwright } = await import('@vitest/browser-playwright');
  return wantedEngines().map((name) => {
    const found = findBrowser(name);
    const instance =
      found?.driver === 'webdriver'
        ? { browser: 'webkitgtk' as const, provider: webkitgtk(found.path) }
        : { browser: name, provider: playwright({ ...(found && { launchOptions: found.launch }) }) };
    const { browser, provider } = instance;
    return {
      name: `in ${name}`, // Vitest wants the project and its one instance told apart; --project takes the latter's name.
      include: unit,
      exclude: [inNodeOnly],
      setupFiles,
      browser: { enabled: true, headless: true, screenshotFailures: false, provider, instances: [{ browser, name }] },
    };
  });
}
