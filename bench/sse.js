// Events a second of a feed over HTTP, from another process: the parser alone, `eventsource-client`, and `sse` without a
// tracker. All in one run, since machines differ; rounds take turns, since machines are busy.
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createEventSource } from 'eventsource-client';
import { createParser } from 'eventsource-parser';
import { Offset, sse } from 'tidemark';

const count = 200_000;
const rounds = 7;

if (process.argv[2] === 'serve') serve();
else await measure();

function serve() {
  const events = Array.from({ length: count }, (_, i) => `id: ${i + 1}\ndata: {"n":${i + 1},"text":"hello"}\n\n`);
  const bytes = Buffer.from(events.join(''));
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(bytes);
  });
  server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
}

async function measure() {
  const child = fork(fileURLToPath(import.meta.url), ['serve']);
  const { port } = await new Promise((resolve) => child.once('message', resolve));
  const url = `http://127.0.0.1:${port}/`;
  const context = {
    source: 'bench',
    signal: new AbortController().signal,
    openedBefore: false,
    opened() {},
    alive() {},
    deadAfter() {},
    reopenAfter() {},
    onRecorded() {},
    warn() {},
  };

  /** Each reads the whole feed and answers how many events it saw. */
  const readers = {
    async 'eventsource-parser'() {
      let seen = 0;
      const decoder = new TextDecoder();
      const parser = createParser({ onEvent: () => void seen++ });
      for await (const chunk of (await fetch(url)).body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
      return seen;
    },
    async 'eventsource-client'() {
      let seen = 0;
      const source = createEventSource(url);
      for await (const _ of source) if (++seen === count) break;
      source.close();
      return seen;
    },
    async 'sse, for await'() {
      let seen = 0;
      for await (const _ of sse(url, { earliest: '' })(Offset.earliest, context)) seen++;
      return seen;
    },
  };

  /** @type {Record<string, number[]>} */
  const times = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, read] of Object.entries(readers)) {
      const start = performance.now();
      const seen = await read();
      if (seen !== count) throw new Error(`${name} saw ${seen} events of ${count}`);
      if (round > 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  child.kill();
  for (const [name, all] of Object.entries(times)) {
    const median = all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;
    console.log(`${name.padEnd(20)} ${(count / median / 1000).toFixed(2)} M events/s`);
  }
}
