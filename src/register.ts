/**
 * `node --import risktrail/register app.js`: starts the trail and instruments what the program loads, before its first line
 * runs. The program finds the trail by `getRiskTrail()`, and needs no line about it.
 */
import { isSwitchedOff } from './runtime/switched-off.ts';

if (!isSwitchedOff(process.env)) {
  const { startByFlag } = await import('./runtime/start-by-flag.ts');
  await startByFlag();
}
