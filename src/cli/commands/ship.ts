/** `risktrail ship`: send what is left of a data directory's trail to a receiver. */
import type { Command } from 'commander';
import type { ShipProgress, ShipResult } from '../../audit/ship/ship-directory.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface ShipFlags {
  readonly endpoint?: string;
  readonly giveUp?: number;
  readonly json?: boolean;
}

const GIVE_UP_SECONDS = 60;
/** Carriage return and "erase to the end of the line". */
const CLEAR = '\r\u001b[K';

const EXAMPLES = `
Where and how to send comes from OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT and their like. Streams whose
writer lives are left to it. Sending the same directory again sends only what is left.
Exit status: 0 all of it is sent; 2 not all; 3 wrong usage.

Examples:
  $ risktrail ship ./risktrail-data
  $ risktrail ship /mnt/volume-of-a-dead-container --endpoint http://collector:4318/v1/logs
  $ OTEL_EXPORTER_OTLP_ENDPOINT=https://otel.example.com risktrail ship --json | jq .remainingRecords
`;

/** Adds the command to the program. @param done told of the exit status */
export function addShipCommand(program: Command, done: (status: number) => void): void {
  program
    .command('ship')
    .description('send what is left of a trail whose writer is gone to a Collector')
    .argument('[directory]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--endpoint <url>', 'where to send, path included: http://collector:4318/v1/logs')
    .option(
      '--give-up <seconds>',
      `end when nothing got through for so long (default: ${GIVE_UP_SECONDS})`,
      parseCount(1),
    )
    .option('--json', 'the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string | undefined, flags: ShipFlags) =>
      done(await ship(directory, flags, createOutput())),
    );
}

async function ship(directory: string | undefined, flags: ShipFlags, output: Output): Promise<number> {
  const { readShipperSettings } = await import('../../audit/ship/settings.ts');
  const { shipDirectory } = await import('../../audit/ship/ship-directory.ts');
  const settings = readShipperSettings(process.env, flags.endpoint);
  if (settings === undefined) {
    const expected = 'an address, given here or by OTEL_EXPORTER_OTLP_ENDPOINT';
    throw new RiskTrailError('OPTION_INVALID', { field: '--endpoint', expected, received: 'nothing' });
  }
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  const progress = createProgress();
  let result: ShipResult;
  try {
    result = await shipDirectory(trailPaths(directory === undefined ? [] : [directory])[0]!, settings, {
      signal: interrupt.signal,
      giveUpMs: (flags.giveUp ?? GIVE_UP_SECONDS) * 1000,
      onProgress: progress.show,
      onError(error, what) {
        progress.clear();
        output.note(`risktrail: ${what}: ${(error as Error).message}`);
      },
    });
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
    progress.clear();
  }
  const status = result.complete ? EXIT.good : EXIT.incomplete;
  process.exitCode = status;
  await output.write(flags.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result));
  return interrupt.signal.aborted ? EXIT.interrupted : status;
}

/** One line that is written over, where a terminal watches. */
function createProgress(): { show(progress: ShipProgress): void; clear(): void } {
  const { stderr } = process;
  let shown = false;
  return {
    show({ sentRecords, totalRecords, failure }) {
      if (!stderr.isTTY || totalRecords === 0) return;
      shown = true;
      const share = Math.floor((sentRecords / totalRecords) * 100);
      const trouble = failure === undefined ? '' : ` · waiting: ${failure}`;
      const width = stderr.columns ?? 80;
      stderr.write(
        `${CLEAR}${`${share} % · ${sentRecords} of ${totalRecords} records sent${trouble}`.slice(0, width - 1)}`,
      );
    },
    clear() {
      if (shown) stderr.write(CLEAR);
      shown = false;
    },
  };
}

const OUTCOMES = {
  sent: 'all sent',
  alive: 'left: its writer lives and sends it',
  taken: 'left: another process sends it',
  refused: 'the receiver refuses all that is left',
  failed: 'cannot be read',
  stopped: 'not finished',
} as const;

function describe(result: ShipResult): string {
  const count = (records: number | undefined) => (records === undefined ? '?' : String(records)).padStart(10);
  const rows = result.streams.map(
    ({ stream, outcome, sentRecords, rejectedRecords, remainingRecords }) =>
      `${stream} ${count(sentRecords)} ${count(rejectedRecords)} ${count(remainingRecords)}  ${OUTCOMES[outcome]}`,
  );
  const head = `${'STREAM'.padEnd(36)} ${'SENT'.padStart(10)} ${'SET ASIDE'.padStart(10)} ${'LEFT'.padStart(10)}`;
  const sum = `${result.sentRecords} records sent to ${result.endpoint}, ${result.rejectedRecords} set aside, ${result.remainingRecords} left`;
  const error = result.lastError === undefined ? [] : [`Last failure: ${result.lastError}`];
  return `${[head, ...rows, '', sum, ...error].join('\n')}\n`;
}
