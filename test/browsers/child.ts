import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { sendSignal } from '../send-signal.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a program that neither outlives this process, in whatever noticeable way it ends, nor leaves behind what it
 * started itself: a test run that crashes or is stopped must not leave browsers running.
 */
export function startChild(command: string, args: readonly string[], options: SpawnOptions): Child {
  // Detached, it leads a process group, which can be killed as a whole.
  const child = spawn(command, args, { ...options, detached: true });
  const kill = () => {
    process.off('exit', kill).off('disconnect', kill);
    for (const signal of signals) process.off(signal, killAndPass);
    if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL');
  };
  const killAndPass = (signal: NodeJS.Signals) => {
    kill();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  // A worker of vitest is not ended with vitest itself, but it is disconnected.
  process.once('exit', kill).once('disconnect', kill);
  for (const signal of signals) process.once(signal, killAndPass);
  return { process: child, kill };
}

export interface Child {
  readonly process: ChildProcess;
  kill(): void;
}
