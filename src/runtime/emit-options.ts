/** The options of one emission, as callers give them. */
import { SEVERITY_NUMBERS } from '../catalog/define.ts';
import { describeValue } from '../core/errors.ts';
import type { EmitOptions } from '../telemetry/emitter.ts';

/** Nanoseconds of a later time have no place in the 64 bits that OTLP gives them. */
const MAX_TIME_MS = 2 ** 64 / 1e6;

/** What each option of an emission must be. */
const OPTION_FITS: Readonly<Record<keyof EmitOptions, (value: unknown) => boolean>> = {
  severity: (value) => typeof value === 'string' && Object.hasOwn(SEVERITY_NUMBERS, value),
  body: (value) => typeof value === 'string',
  timeMs: (value) => typeof value === 'number' && value >= 0 && value < MAX_TIME_MS,
  context: (value) => typeof (value as { getValue?: unknown } | null)?.getValue === 'function',
};
const OPTION_KEYS = Object.keys(OPTION_FITS) as (keyof EmitOptions)[];

/** The options that can be used. A wrong one must not cost the record: it is left out and reported. */
export function usableOptions(options: EmitOptions, report: (error: unknown, where: string) => void): EmitOptions {
  const usable: Record<string, unknown> = {};
  for (const key of OPTION_KEYS) {
    try {
      const value: unknown = options[key];
      if (value === undefined) continue;
      if (OPTION_FITS[key](value)) usable[key] = value;
      else throw new TypeError(`${key} cannot be ${describeValue(value)}`);
    } catch (error) {
      report(error, 'emit options');
    }
  }
  return usable;
}
