/**
 * The global of the old package `@opentelemetry/api-logs`. Libraries built on it ask this global for a logger provider, not
 * the one that `@opentelemetry/api` 1.10 has, and nothing warns when nobody is there. The protocol is that package's
 * `internal/global-utils`: under a registered symbol stands a function that takes the version of the interface and gives
 * the provider, or one that does nothing where the version is another.
 *
 * A logger that a library took before we registered, and keeps, stays silent: the old package connects only through its own
 * `setGlobalLoggerProvider`. Start risktrail first (`--import risktrail/register` does).
 */
import { createNoopLogger, type LoggerProvider } from '@opentelemetry/api';

const KEY = Symbol.for('io.opentelemetry.js.api.logs');
/** `API_BACKWARDS_COMPATIBILITY_VERSION` of the old package, throughout its life. */
const VERSION = 1;

type Getter = (version: number) => LoggerProvider;

const NOOP: LoggerProvider = { getLogger: () => createNoopLogger() };

/**
 * Registers `provider` on the old global.
 * @returns a function that takes it back, or nothing where somebody else is registered there
 */
export function registerLegacyLogs(provider: LoggerProvider): (() => void) | undefined {
  const globals = globalThis as unknown as Record<symbol, Getter | undefined>;
  if (globals[KEY] !== undefined) return undefined;
  const getter: Getter = (version) => (version === VERSION ? provider : NOOP);
  globals[KEY] = getter;
  return () => {
    if (globals[KEY] === getter) delete globals[KEY];
  };
}
