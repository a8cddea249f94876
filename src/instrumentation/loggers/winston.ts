/** winston: each line is seen where its logger writes it to the transports. */
import { type LineLevel, quietly, takeLine } from './lines.ts';

interface WinstonLogger {
  readonly silent?: boolean;
  isLevelEnabled?(level: string): boolean;
}
interface WinstonClass {
  readonly prototype: {
    _transform?: (this: WinstonLogger, info: Record<PropertyKey, unknown>, ...rest: unknown[]) => unknown;
  };
}

const PATCHED = Symbol.for('risktrail.winston.patched');
const LEVEL = Symbol.for('level');

/** Of the npm and the syslog levels; those of the program's own count as `info`. */
const LEVELS: Readonly<Record<string, LineLevel>> = {
  ...{ emerg: 'fatal', alert: 'fatal', crit: 'fatal', fatal: 'fatal', error: 'error', warn: 'warn', warning: 'warn' },
  ...{ notice: 'info', info: 'info', http: 'info', verbose: 'debug', debug: 'debug', silly: 'trace', trace: 'trace' },
};

/** @param logger the class that winston's `logger.js` exports */
export function instrumentWinstonLogger(logger: unknown): void {
  const prototype = (logger as WinstonClass | undefined)?.prototype;
  const original = prototype?._transform;
  if (prototype === undefined || typeof original !== 'function' || Object.hasOwn(prototype, PATCHED)) return;
  Object.defineProperty(prototype, PATCHED, { value: true });
  prototype._transform = function (info, ...rest) {
    const level = String(info[LEVEL] ?? info['level']);
    const enabled = this.silent !== true && this.isLevelEnabled?.(level) !== false;
    if (enabled) {
      takeLine(() => {
        const { level: _level, message, service, logger: name, label, ...fields } = info;
        const named = [name, label, service].find((one) => typeof one === 'string');
        return {
          library: 'winston',
          logger: named as string | undefined,
          level: LEVELS[level] ?? 'info',
          message: typeof message === 'string' ? message : String((message as Error | undefined)?.message ?? message),
          fields: message instanceof Error ? { ...fields, error: message } : fields,
        };
      });
    }
    // A transport may print by `console`.
    return quietly(() => original.call(this, info, ...rest));
  };
}
