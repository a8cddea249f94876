/** The trail that a command is about: its arguments, else RISKTRAIL_DATA_DIR, else ./risktrail-data. */
import { readdirSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { isRiskTrailError, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { dataDirFrom } from '../runtime/settings.ts';

/** @param args paths given on the command line */
export function trailPaths(args: readonly string[]): readonly string[] {
  return args.length > 0 ? args : [dataDirFrom(process.env)];
}

/** A missing path's error with the nearest name that is there, any other error as it is. */
export function withNearestPath(error: unknown): unknown {
  if (!isRiskTrailError(error, 'PATH_NOT_FOUND')) return error;
  const path = String(error.details['path']);
  try {
    const names = readdirSync(dirname(resolve(path)));
    // It is there, and what was looked for inside of it is not.
    if (names.includes(basename(path))) return error;
    const hint = nearest(basename(path), names);
    return hint === '' ? error : new RiskTrailError('PATH_NOT_FOUND', { path, hint }, error);
  } catch {
    return error;
  }
}
