/** What the flag does: reads the settings, starts the trail, watches for libraries, and sees to the process's end. */
import { readFileSync, writeSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isRiskTrailError } from '../core/errors.ts';
import { installInstrumentations } from '../instrumentation/install.ts';
import type { RiskTrail } from './risk-trail.ts';
import { readSettings } from './settings.ts';
import type { RiskTrailOptions } from './settings-table.ts';
import { startRiskTrail } from './start.ts';

/** Wrong usage, as the command line has it. */
const WRONG_USAGE = 3;
const STDERR = 2;

/**
 * Starts the trail of this thread. Where that is impossible the process ends with one line on stderr and status 3, or runs
 * without a trail where `RISKTRAIL_ON_ERROR` is `continue`. Never rejects.
 * @param installed the libraries are watched already
 */
export async function startByFlag(installed = false): Promise<void> {
  let trail: RiskTrail;
  try {
    trail = await startRiskTrail(await flagOptions());
  } catch (error) {
    refuse(error);
    return;
  }
  if (!installed) installInstrumentations(trail.settings.instrumentations);
  flushBeforeExit(trail);
}

/** The service's name, where nothing else gives one, is that of the program's package. */
async function flagOptions(): Promise<RiskTrailOptions> {
  try {
    await readSettings();
    return {};
  } catch (error) {
    if (!isRiskTrailError(error) || error.details['field'] !== 'serviceName') throw error;
    const serviceName = packageName();
    if (serviceName === undefined) throw error;
    return { serviceName };
  }
}

function packageName(): string | undefined {
  const script = process.argv[1];
  let folder = script === undefined ? process.cwd() : dirname(resolve(script));
  for (;;) {
    try {
      const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown };
      if (typeof name === 'string' && name !== '') return name;
    } catch {
      // None here: the next folder above may have one.
    }
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
}

function refuse(error: unknown): void {
  const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
  const goesOn = process.env['RISKTRAIL_ON_ERROR']?.trim() === 'continue';
  const line = goesOn ? `risktrail: ${message}; the program runs without risktrail` : `risktrail: ${message}`;
  try {
    writeSync(STDERR, `${line}\n`);
  } catch {
    // stderr is closed: the exit status says it.
  }
  if (!goesOn) process.exit(WRONG_USAGE);
}

/**
 * A program that has nothing more to do ends; what its exporters still hold is handed over first. Work that the program
 * begins then goes on as ever.
 */
function flushBeforeExit(trail: RiskTrail): void {
  let told = -1;
  process.on('beforeExit', () => {
    const { audit, telemetry } = trail.health().emitted;
    if (audit + telemetry === told) return;
    told = audit + telemetry;
    void trail.flush();
  });
}
