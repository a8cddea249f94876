/** `risktrail doctor`: whether everything that the trail needs is as it should be, and what to do where it isn't. */
import type { Command } from 'commander';
import type { Check } from '../../analysis/doctor/check.ts';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface DoctorFlags {
  readonly loki?: string;
  readonly tempo?: string;
  readonly grafana?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Servers are asked where their addresses are given: LOKI_URL, TEMPO_URL and GRAFANA_URL do as well as the options. To the OTLP
endpoint one record of class telemetry is sent, which is no part of any audit trail.
Exit status: 0 all is well, 2 a warning, 1 something fails.

Examples:
  $ risktrail doctor ./risktrail-data
  $ OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 risktrail doctor --loki http://localhost:3100
  $ risktrail doctor --json | jq '.checks[] | select(.status != "ok")'
`;

/** Adds the command to the program. @param done told of the exit status */
export function addDoctorCommand(program: Command, done: (status: number) => void): void {
  program
    .command('doctor')
    .description('check this machine, the trail, and the servers behind it, each with what to do')
    .argument('[dir]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--loki <url>', 'ask this Loki')
    .option('--tempo <url>', 'ask this Tempo')
    .option('--grafana <url>', 'ask this Grafana; user and password may stand in the address')
    .option('--json', 'the checks as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string | undefined, flags: DoctorFlags) => done(await doctor(dir, flags, createOutput())));
}

async function doctor(dir: string | undefined, flags: DoctorFlags, output: Output): Promise<number> {
  const checks = await examine(dir, flags);
  const { worstOf } = await import('../../analysis/doctor/check.ts');
  const worst = worstOf(checks);
  const exit = { ok: EXIT.good, warn: EXIT.incomplete, fail: EXIT.finding }[worst];
  process.exitCode = exit;
  if (flags.json) await output.write(`${JSON.stringify({ status: worst, checks }, undefined, 2)}\n`);
  else await output.write(`${checks.map((check) => lineOf(check, output)).join('\n')}\n`);
  return exit;
}

async function examine(dir: string | undefined, flags: DoctorFlags): Promise<readonly Check[]> {
  const { env } = process;
  const [machine, servers, { createSystemClock }, { readShipperSettings }, { fail, reasonOf }] = await Promise.all([
    import('../../analysis/doctor/machine.ts'),
    import('../doctor/servers.ts'),
    import('../../core/clock.ts'),
    import('../../audit/ship/settings.ts'),
    import('../../analysis/doctor/check.ts'),
  ]);
  const clock = createSystemClock();
  const dataDir = trailPaths(dir === undefined ? [] : [dir])[0]!;
  const checks: Check[] = [
    ...machine.checkMachine({ dataDir, keyFile: env['RISKTRAIL_SIGNING_KEY_FILE'] || undefined, clock }),
  ];
  try {
    checks.push(await servers.checkEndpoint(readShipperSettings(env)));
  } catch (error) {
    checks.push(fail('OTLP endpoint', reasonOf(error), 'mend OTEL_EXPORTER_OTLP_* as it says'));
  }
  const address = (given: string | undefined, variable: string) =>
    (given ?? env[variable])?.replace(/\/+$/, '') || undefined;
  const loki = address(flags.loki, 'LOKI_URL');
  const tempo = address(flags.tempo, 'TEMPO_URL');
  const grafana = address(flags.grafana, 'GRAFANA_URL');
  if (loki !== undefined) checks.push(await servers.checkLoki(loki));
  if (tempo !== undefined) checks.push(await servers.checkTempo(tempo));
  if (grafana !== undefined) checks.push(...(await servers.checkGrafana(grafana)));
  return checks;
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
const NAME_WIDTH = 16;

function lineOf({ name, status, found, fix }: Check, output: Output): string {
  const line = `${output.style(COLOURS[status], status.padEnd(4))}  ${name.padEnd(NAME_WIDTH)}  ${found}`;
  return fix === undefined ? line : `${line}\n${' '.repeat(NAME_WIDTH + 8)}→ ${fix}`;
}
