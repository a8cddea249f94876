/**
 * `node --require risktrail/register app.js`: as with `--import`, but that `require` can't wait: the program's first lines run
 * while the trail starts. Calls of instrumented libraries wait for it; `getRiskTrail()` has it a moment later.
 */
import { loadNow } from './core/load-now.ts';
import { setStartingHost } from './instrumentation/host.ts';
import { installInstrumentations } from './instrumentation/install.ts';
import { INSTRUMENTATIONS } from './instrumentation/targets.ts';
import type * as Flag from './runtime/start-by-flag.ts';
import { isSwitchedOff } from './runtime/switched-off.ts';

if (!isSwitchedOff(process.env)) {
  const named = process.env['RISKTRAIL_INSTRUMENTATIONS']?.split(',').map((name) => name.trim());
  installInstrumentations(INSTRUMENTATIONS.filter((one) => named === undefined || named.includes(one)));
  const start = loadNow<typeof Flag>(import.meta.url, './runtime/start-by-flag').startByFlag(true);
  setStartingHost(start.finally(() => setStartingHost(undefined)));
}
