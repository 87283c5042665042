import { StorageError } from '../../errors.ts';

/** What the system said, as in 'ENOENT'. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** For `catch`: lets one failure pass. */
export function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return undefined;
  };
}

/** @returns what a user is told of a failure: the system's own errors are explained, all others are left as they are */
export function explain(cause: unknown, doing: string, where: string): unknown {
  const code = codeOf(cause);
  if (!(cause instanceof Error) || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return cause;
  const what = advice[code] ?? '';
  return new StorageError(`could not ${doing} ${where}: ${cause.message}${what && `. ${what}`}`, {
    cause,
    retryable: transient.has(code),
  });
}

/** What may pass by itself. A full disk is no such thing: somebody has to make room. */
const transient: ReadonlySet<string> = new Set([
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'EMFILE',
  'ENFILE',
  'ENOLCK',
  'ENOMEM',
  'ESTALE',
  'ETIMEDOUT',
]);

const makeRoom = 'Nothing that was committed is lost; make room on the disk';
const allow = 'Let this user read and write the file and its folder';
const tooLong = 'Choose a shorter path';

const advice: Readonly<Record<string, string>> = {
  ENOSPC: makeRoom,
  EDQUOT: makeRoom,
  EFBIG: 'Nothing that was committed is lost; let this user write larger files',
  EACCES: allow,
  EPERM: allow,
  EROFS: 'The file system is read-only: choose a path that can be written',
  ENOTDIR: 'Choose a path whose parent is a folder',
  EEXIST: 'Something else stands where a folder of the path should be: remove it, or choose another path',
  ENOENT: 'Its folder has gone, or a symbolic link on the way leads nowhere: make the folder, or choose another path',
  ELOOP: 'Symbolic links lead in a circle: choose another path',
  ENAMETOOLONG: tooLong,
  EIO: 'The disk fails: look into the log of the system',
  EMFILE: 'This process has too many files open: raise its limit (ulimit -n), or close some',
  ENFILE: 'The system has too many files open',
};
