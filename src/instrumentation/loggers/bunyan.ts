/** bunyan: each line is seen where its logger hands it to the streams, as the record that it is. */
import { levelOfNumber, quietly, takeLine } from './lines.ts';

interface BunyanRecord extends Readonly<Record<string, unknown>> {
  readonly level?: unknown;
}
type Emit = (this: object, record: BunyanRecord, withoutWriting?: boolean, ...rest: unknown[]) => unknown;
interface BunyanClass {
  readonly prototype?: { _emit?: Emit };
}

const PATCHED = Symbol.for('risktrail.bunyan.patched');

/** The standard serializer has made a map of the error. */
function errorOf(err: unknown): Error | undefined {
  if (err instanceof Error) return err;
  const { name, message, stack } = (err ?? {}) as Partial<Error>;
  if (typeof message !== 'string' || typeof stack !== 'string') return undefined;
  return Object.assign(Object.create(Error.prototype) as Error, { name: name ?? 'Error', message, stack });
}

/** @param logger the class that bunyan exports */
export function instrumentBunyanLogger(logger: unknown): void {
  const prototype = (logger as BunyanClass | undefined)?.prototype;
  const original = prototype?._emit;
  if (prototype === undefined || typeof original !== 'function' || Object.hasOwn(prototype, PATCHED)) return;
  Object.defineProperty(prototype, PATCHED, { value: true });
  prototype._emit = function (record, withoutWriting, ...rest) {
    // A probe asks for the text alone.
    if (withoutWriting === true) return original.call(this, record, withoutWriting, ...rest);
    takeLine(() => {
      const {
        name,
        hostname: _hostname,
        pid: _pid,
        level,
        msg,
        time: _time,
        v: _version,
        src: _src,
        err,
        ...fields
      } = record;
      const error = errorOf(err);
      return {
        library: 'bunyan',
        logger: typeof name === 'string' ? name : undefined,
        level: levelOfNumber(Number(level)),
        message: typeof msg === 'string' ? msg : '',
        fields: err === undefined ? fields : { ...fields, err: error ?? err },
      };
    });
    // A stream of the program's own may print by `console`.
    return quietly(() => original.call(this, record, withoutWriting, ...rest));
  };
}
