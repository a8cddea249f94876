/** The console: what the program prints becomes log records too. What OpenTelemetry or risktrail print there does not. */
import { format } from 'node:util';
import { type LineLevel, quietly, takeLine } from './lines.ts';

const LEVELS = {
  trace: 'trace',
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const satisfies Readonly<Record<string, LineLevel>>;
type Name = keyof typeof LEVELS;

const PATCHED = Symbol.for('risktrail.console.patched');

/** Their lines tell of what carries ours: a line of each failure would make another failure. */
const OWN = /[\\/]@opentelemetry[\\/]|[\\/]risktrail[\\/](?:dist|src)[\\/](?:telemetry|runtime|audit)[\\/]/;

function isOwn(): boolean {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  return OWN.test(stack);
}

/** Wraps the methods of a console. @param target the global one, unless given */
export function instrumentConsole(target: Console = console): void {
  if (Object.hasOwn(target, PATCHED)) return;
  Object.defineProperty(target, PATCHED, { value: true });
  for (const name of Object.keys(LEVELS) as Name[]) {
    const original = target[name];
    const wrapper = function (this: unknown, ...args: unknown[]) {
      takeLine(() => {
        if (isOwn()) return undefined;
        const error = args.find((one) => one instanceof Error);
        return {
          library: 'console',
          logger: undefined,
          level: LEVELS[name],
          message: format(...args),
          fields: error === undefined ? {} : { error },
        };
      });
      return quietly(() => original.apply(this, args));
    };
    Object.defineProperty(wrapper, 'name', { value: name, configurable: true });
    target[name] = wrapper as Console[Name];
  }
}
