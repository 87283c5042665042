import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { open, type Browser } from '../browsers/tabs.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>A tab</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://localhost:${typeof address === 'object' ? address?.port : ''}/`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe.each(wantedEngines())('two tabs in %s', (engine) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await open(engine);
  });
  afterAll(() => browser.close());

  test('share one storage, hear each other, and outlive each other', async () => {
    const first = await browser.newTab(url);
    const second = await browser.newTab(url);
    await first.eval((value) => localStorage.setItem('key', value), 'from the first');
    expect(await second.eval(() => localStorage.getItem('key'))).toBe('from the first');

    await second.eval(() => {
      new BroadcastChannel('channel').onmessage = ({ data }) => (document.title = data);
    });
    await first.eval(() => new BroadcastChannel('channel').postMessage('heard'));
    await expect.poll(() => second.eval(() => document.title)).toBe('heard');

    await first.close();
    await second.reload();
    expect(await second.eval(() => document.title)).toBe('A tab');
    const third = await browser.newTab(url);
    expect(await third.eval(() => localStorage.getItem('key'))).toBe('from the first');
  });

  test('report what a page throws', async () => {
    const tab = await browser.newTab(url);
    await expect(tab.eval(() => Promise.reject(new TypeError('no such thing')))).rejects.toThrow('no such thing');
  });
});
