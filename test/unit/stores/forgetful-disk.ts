// A disk as it is after a power cut: of all that was written, only what was brought to it (fsync) is still there. It watches
// the calls of node:fs/promises while they go through to the real file system.
import type * as fs from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

type Fs = typeof fs;

/** Something that a folder's entry leads to: it keeps its identity when it is renamed. */
interface Node {
  readonly isFolder: boolean;
  /** Of a file: what is on the disk. */
  synced: Buffer;
  /** Of a folder: its entries in memory, and on the disk. */
  readonly entries: Map<string, Node>;
  kept: Map<string, Node>;
}

export class ForgetfulDisk {
  readonly #root: string;
  readonly #real: Fs;
  readonly #top: Node = newNode(true);
  readonly #open = new Set<fs.FileHandle>();
  /** The calls of interest, in their order: 'write offsets.json', 'datasync offsets.json', 'sync .', … */
  readonly calls: string[] = [];
  /** Called before each; what it returns is waited for: a promise that never settles is a process that was killed there. */
  before: (call: string) => Promise<void> | void = () => {};

  /** @param root a folder that is empty and on the disk */
  constructor(root: string, real: Fs) {
    this.#root = root;
    this.#real = real;
  }

  /** What node:fs/promises is replaced by. */
  watched(): Pick<Fs, 'open' | 'mkdir' | 'rename' | 'writeFile' | 'unlink' | 'rmdir' | 'rm'> {
    const real = this.#real;
    return {
      open: (async (path: string, ...rest: []) => {
        const handle = await real.open(path, ...rest);
        return this.#isOurs(path) ? this.#watchHandle(path, handle) : handle;
      }) as Fs['open'],
      mkdir: (async (path: string, options?: { recursive: true }) => {
        await this.#tell('mkdir', path);
        const made = await real.mkdir(path, options);
        const news: string[] = [];
        for (let at = path; this.#isOurs(at) && !this.#find(at); at = dirname(at)) news.unshift(at);
        for (const each of news) this.#link(each, newNode(true));
        return made;
      }) as Fs['mkdir'],
      writeFile: (async (path: string, ...rest: [string, { flag: string }]) => {
        await real.writeFile(path, ...rest);
        if (this.#isOurs(path)) this.#link(path, newNode(false));
      }) as Fs['writeFile'],
      rename: (async (from: string, to: string) => {
        await this.#tell('rename', to);
        await real.rename(from, to);
        const node = this.#find(from);
        this.#find(dirname(from))?.entries.delete(basename(from));
        if (node) this.#link(to, node);
      }) as Fs['rename'],
      unlink: (path) => this.#remove(path as string, () => real.unlink(path)),
      rmdir: (path) => this.#remove(path as string, () => real.rmdir(path)),
      rm: (path, options) => this.#remove(path as string, () => real.rm(path, options)),
    };
  }

  /** Closes what was left open by those who died. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#open, (handle) => handle.close()));
    this.#open.clear();
  }

  /** Writes into an empty folder what is left after a power cut at this moment. */
  async restore(to: string): Promise<void> {
    await restoreInto(this.#real, this.#top, to);
  }

  #isOurs(path: string): boolean {
    return !relative(this.#root, path).startsWith('..');
  }

  async #tell(what: string, path: string): Promise<void> {
    if (!this.#isOurs(path)) return;
    // Names of processes and of acquisitions differ in each run.
    const call = `${what} ${relative(this.#root, path).replace(/\/[^/]*pid_[^/]*$/, '/draft') || '.'}`;
    this.calls.push(call);
    await this.before(call);
  }

  #find(path: string): Node | undefined {
    const names = relative(this.#root, path).split('/').filter(Boolean);
    return names.reduce<Node | undefined>((node, name) => node?.entries.get(name), this.#top);
  }

  #link(path: string, node: Node): void {
    this.#find(dirname(path))?.entries.set(basename(path), node);
  }

  async #remove(path: string, remove: () => Promise<void>): Promise<void> {
    await remove();
    this.#find(dirname(path))?.entries.delete(basename(path));
  }

  #watchHandle(path: string, handle: fs.FileHandle): fs.FileHandle {
    const node = this.#find(path);
    this.#open.add(handle);
    const sync = async (what: 'sync' | 'datasync'): Promise<void> => {
      await this.#tell(what, path);
      const content = node?.isFolder ? undefined : await contentOf(handle);
      const entries = new Map(node?.entries);
      await handle[what]();
      if (node && content) node.synced = content;
      else if (node) node.kept = entries;
    };
    return new Proxy(handle, {
      get: (target, name) => {
        if (name === 'sync' || name === 'datasync') return () => sync(name);
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (name === 'close') this.#open.delete(handle);
        if (name !== 'write') return member.bind(target);
        return async (...args: unknown[]) => {
          await this.#tell('write', path);
          return member.apply(target, args) as unknown;
        };
      },
    });
  }
}

async function contentOf(handle: fs.FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const content = Buffer.alloc(size);
  await handle.read(content, 0, size, 0);
  return content;
}

async function restoreInto(real: Fs, folder: Node, to: string): Promise<void> {
  await real.mkdir(to, { recursive: true });
  for (const [name, node] of folder.kept) {
    if (node.isFolder) await restoreInto(real, node, join(to, name));
    else await real.writeFile(join(to, name), node.synced);
  }
}

function newNode(isFolder: boolean): Node {
  return { isFolder, synced: Buffer.alloc(0), entries: new Map(), kept: new Map() };
}
