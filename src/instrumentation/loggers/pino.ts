/** pino: each line is seen where it is made into text, with the fields of its logger. */
import { levelOfNumber, takeLine } from './lines.ts';

interface PinoLogger {
  bindings?(): Record<string, unknown>;
}
type AsJson = (this: PinoLogger, fields: unknown, message: unknown, level: number, time: string) => string;

const PATCHED = Symbol.for('risktrail.pino.patched');

/** @param tools exports of pino's `lib/tools.js` */
export function instrumentPinoTools(tools: { asJson?: AsJson; [PATCHED]?: boolean }): void {
  const { asJson } = tools;
  if (typeof asJson !== 'function' || tools[PATCHED]) return;
  Object.defineProperty(tools, PATCHED, { value: true });
  tools.asJson = function (fields, message, level, time) {
    takeLine(() => {
      const bound = typeof this.bindings === 'function' ? this.bindings() : {};
      const { pid: _pid, hostname: _hostname, name, ...rest } = bound;
      const own = typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {};
      const text = message ?? own['msg'] ?? (own['err'] as Error | undefined)?.message ?? '';
      return {
        library: 'pino',
        logger: typeof name === 'string' ? name : undefined,
        level: levelOfNumber(level),
        message: String(text),
        fields: { ...rest, ...own },
      };
    });
    return asJson.call(this, fields, message, level, time);
  };
}
