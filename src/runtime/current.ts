/** The trail that runs in this thread, found by any copy of the package (ESM and CommonJS copies share the global symbol). */
import { RiskTrailError } from '../core/errors.ts';
import type { RiskTrail } from './risk-trail.ts';

const KEY = Symbol.for('risktrail.current');
const holder = globalThis as { [KEY]?: RiskTrail | undefined };

/**
 * The trail that `startRiskTrail` started.
 * @throws RiskTrailError NOT_STARTED
 */
export function getRiskTrail(): RiskTrail {
  const current = holder[KEY];
  if (current === undefined) throw new RiskTrailError('NOT_STARTED');
  return current;
}

export const currentTrail = (): RiskTrail | undefined => holder[KEY];

export function setCurrentTrail(trail: RiskTrail | undefined): void {
  holder[KEY] = trail;
}
