/** Whether the flag is to leave no trace: told by the environment alone, before anything is loaded. */
import { isMainThread, workerData } from 'node:worker_threads';

const isTrue = (text: string | undefined) => /^(true|1)$/i.test(text?.trim() ?? '');

/** A thread that carries a logger's lines (thread-stream, as pino starts it) does no work of the program's own. */
function isLogThread(): boolean {
  if (isMainThread) return false;
  const data = workerData as { stateBuf?: unknown; dataBuf?: unknown } | null | undefined;
  return typeof data === 'object' && data !== null && data.stateBuf !== undefined && data.dataBuf !== undefined;
}

/** Whether `RISKTRAIL_DISABLED` or `OTEL_SDK_DISABLED` says so, or the thread is none of the program's. */
export function isSwitchedOff(env: NodeJS.ProcessEnv): boolean {
  return isTrue(env['RISKTRAIL_DISABLED']) || isTrue(env['OTEL_SDK_DISABLED']) || isLogThread();
}
