/** `risktrail reconcile`: do the copies of a trail hold what the journal holds? */
import type { Command } from 'commander';
import type { ReconcileReport, Repair } from '../../audit/reconcile/reconcile.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ReconcileFlags {
  readonly file?: readonly string[];
  readonly loki?: string;
  readonly lokiHeader?: readonly string[];
  readonly lokiLimit?: number;
  readonly repair?: boolean;
  readonly endpoint?: string;
  readonly json?: boolean;
}

/** What a repair did to one stream. */
interface Repaired {
  readonly stream: string;
  readonly wanted: number;
  readonly sent: number;
  readonly refused: number;
  readonly failure: string | null;
}

const EXAMPLES = `
All files given are one copy. What it holds is put on its disk and noted in the journal's folder: retention that waits for a
reconciled copy removes nothing else. Of Loki only the hash that each record bears is compared, since it keeps no record whole.
--repair ships again what a copy lacks and the journal holds, by the OTEL_EXPORTER_OTLP_* variables; then reconcile once more.
Exit status: 0 all copies are whole; 1 some disagree; 2 something is missing; 3 nothing to compare, or a copy can't be read.

Examples:
  $ risktrail reconcile ./risktrail-data --file /var/log/otel/audit*.jsonl
  $ risktrail reconcile ./risktrail-data --loki http://loki:3100 --loki-header 'X-Scope-OrgID: desk' --json
  $ OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 risktrail reconcile ./risktrail-data --file /var/log/otel --repair
`;

/** Adds the command to the program. @param done told of the exit status */
export function addReconcileCommand(program: Command, done: (status: number) => void): void {
  program
    .command('reconcile')
    .description("compare the journal with its copies: a Collector's files, Loki")
    .argument('[directory]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--file <paths...>', 'files or directories that a Collector wrote')
    .option('--loki <url>', 'address of a Loki')
    .option('--loki-header <header>', '"Name: value" for Loki; may be repeated', gather)
    .option('--loki-limit <n>', 'entries to ask Loki for at once (default: 5000, its own limit)', parseCount(1))
    .option('--repair', 'ship again what a copy lacks')
    .option('--endpoint <url>', 'where to ship it, path included: http://collector:4318/v1/logs')
    .option('--json', 'the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string | undefined, flags: ReconcileFlags) =>
      done(await reconcile(directory, flags, createOutput())),
    );
}

/** `Name: value` as a pair. */
function headersOf(lines: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) {
        const details = { field: '--loki-header', expected: '"Name: value"', received: 'something else' };
        throw new RiskTrailError('OPTION_INVALID', details);
      }
      return [name, value];
    }),
  );
}

function checkAddress(address: string): string {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    const details = { field: '--loki', expected: 'an address http://… or https://…', received: 'something else' };
    throw new RiskTrailError('OPTION_INVALID', details);
  }
  return address;
}

async function reconcile(directory: string | undefined, flags: ReconcileFlags, output: Output): Promise<number> {
  const { reconcileTrail } = await import('../../audit/reconcile/reconcile.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const clock = createSystemClock();
  const path = trailPaths(directory === undefined ? [] : [directory])[0] as string;
  const headers = headersOf(flags.lokiHeader);
  const loki =
    flags.loki === undefined ? undefined : { url: checkAddress(flags.loki), headers, limit: flags.lokiLimit };
  const settings = flags.repair ? await shipperSettings(flags.endpoint) : undefined;
  const { report, repairs } = await withProgress(`reconciling ${path}`, clock.monotonic, () =>
    reconcileTrail({ directory: path, files: flags.file, loki, clock, onWarning: output.note }),
  );
  const repaired: Repaired[] = [];
  if (settings !== undefined) {
    for (const one of repairs) repaired.push(await repair(one, settings, clock.monotonic));
  }
  // Set before printing: whoever reads may stop reading.
  process.exitCode = report.exitStatus;
  await print(report, flags.repair ? repaired : undefined, flags.json === true, output);
  return report.exitStatus;
}

type Settings = import('../../audit/ship/settings.ts').ShipperSettings;

async function shipperSettings(endpoint: string | undefined): Promise<Settings> {
  const { readShipperSettings } = await import('../../audit/ship/settings.ts');
  const settings = readShipperSettings(process.env, endpoint);
  if (settings === undefined) {
    const expected = 'an address, given here or by OTEL_EXPORTER_OTLP_ENDPOINT';
    throw new RiskTrailError('OPTION_INVALID', { field: '--endpoint', expected, received: 'nothing' });
  }
  return settings;
}

async function repair({ stream, directory, ranges }: Repair, settings: Settings, monotonic: () => number) {
  const { reshipRecords } = await import('../../audit/ship/reship.ts');
  const { countOf } = await import('../../audit/reconcile/sequence-set.ts');
  const { sent, refused, failure } = await withProgress(`shipping records of ${stream} again`, monotonic, () =>
    reshipRecords(directory, ranges, settings),
  );
  return { stream, wanted: countOf(ranges), sent, refused, failure: failure ?? null };
}

async function print(
  report: ReconcileReport,
  repaired: readonly Repaired[] | undefined,
  json: boolean,
  output: Output,
): Promise<void> {
  const { formatReconcileReport } = await import('../../audit/reconcile/report.ts');
  if (json) {
    const { exitStatus, ...told } = report;
    const answer = repaired === undefined ? told : { ...told, repaired };
    await output.write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return;
  }
  await output.write(formatReconcileReport(report));
  if (repaired === undefined) return;
  if (repaired.length === 0) await output.write('There is nothing that shipping again could mend.\n');
  for (const { stream, wanted, sent, refused, failure } of repaired) {
    const trouble = `${refused > 0 ? `, ${refused} refused` : ''}${failure === null ? '' : ` (${failure})`}`;
    await output.write(`Shipped again: ${sent} of ${wanted} records of ${stream}${trouble}. Reconcile once more.\n`);
  }
}
