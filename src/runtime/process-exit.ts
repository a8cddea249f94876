/**
 * The process's end, noticed without being taken over: exit code, listeners and signals stay as the program set them.
 *
 * - `exit` (normal end, `process.exit`, uncaught exception): the last chance for synchronous work.
 * - An uncaught exception is told beforehand by `uncaughtExceptionMonitor`, which changes nothing of what follows.
 * - SIGTERM and SIGINT end a process without `exit`, unless somebody listens. Our listener comes first and takes itself away:
 *   whoever counts listeners sees what there would be without us. Where it was the only one it closes and sends the signal
 *   again, so that the process ends by the signal. Where the program listens too, ending is its business, and `exit` will
 *   come; the listener is put back for the next signal.
 */
import { isMainThread } from 'node:worker_threads';

export interface ExitHooks {
  /** Synchronous, must not throw. `reason` is `exit`, `uncaught_exception`, `SIGTERM` or `SIGINT`. */
  onExit(reason: string): void;
  onUncaught(error: unknown, origin: string): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** @returns a function that takes every listener away again */
export function watchProcessExit(hooks: ExitHooks, handleSignals: boolean): () => void {
  let uncaught = false;
  let watching = true;
  const onExit = () => hooks.onExit(uncaught ? 'uncaught_exception' : 'exit');
  const onUncaught = (error: unknown, origin: string) => {
    // Where the program handles it, the process goes on, and ends by something else one day.
    uncaught = process.listenerCount('uncaughtException') === 0 && !process.hasUncaughtExceptionCaptureCallback();
    hooks.onUncaught(error, origin);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    process.removeListener(signal, onSignal);
    if (process.listenerCount(signal) > 0) {
      process.nextTick(() => {
        if (watching) process.prependListener(signal, onSignal);
      });
      return;
    }
    hooks.onExit(signal);
    process.kill(process.pid, signal);
  };
  process.on('exit', onExit);
  process.on('uncaughtExceptionMonitor', onUncaught);
  // Signals reach the main thread alone.
  const signals = handleSignals && isMainThread ? SIGNALS : [];
  for (const signal of signals) process.prependListener(signal, onSignal);
  return () => {
    watching = false;
    process.removeListener('exit', onExit);
    process.removeListener('uncaughtExceptionMonitor', onUncaught);
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
}
