/**
 * `node --import risktrail/register app.js`: starts the trail and instruments what the program loads, before its first line
 * runs. The program finds the trail by `getRiskTrail()`, and needs no line about it.
 */
import { loadNow } from './core/load-now.ts';
import type * as Flag from './runtime/start-by-flag.ts';
import { isSwitchedOff } from './runtime/switched-off.ts';

if (!isSwitchedOff(process.env)) await loadNow<typeof Flag>(import.meta.url, './runtime/start-by-flag').startByFlag();
