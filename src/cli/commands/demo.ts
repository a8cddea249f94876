/** `risktrail demo`: a trend-following book over twenty years of real prices, its risk layers, and the trail they leave. */
import { type Command, InvalidArgumentError } from 'commander';
import { parseCount } from '../option-values.ts';

/** What the demo is told. */
export interface DemoFlags {
  /** Directory of the trail. */
  readonly dir?: string;
  /** Seed of the simulated broker's outages. */
  readonly seed?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** With today's timestamps, for dashboards. */
  readonly live?: boolean;
  /** Where to send: an OTLP/HTTP address. */
  readonly otlp?: string;
  /** Trading days in a minute. */
  readonly speed?: number;
  /** First day of the market. */
  readonly from?: string;
  readonly days?: number;
}

const EXAMPLES = `
Prices are the real S&P 500 daily series of 2000 to 2020; the broker and its outages are simulated from the seed.

Examples:
  $ risktrail demo
  $ risktrail demo ./demo-trail && risktrail verify ./demo-trail
  $ risktrail demo --quiet --json | jq .verify
  $ risktrail demo --live --otlp http://localhost:4318 --speed 20
`;

function parseDay(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text) && Number.isFinite(Date.parse(text))) return text;
  throw new InvalidArgumentError('expected a day, as 2008-09-01.');
}

/** Adds the command to the program. @param done told of the exit status */
export function addDemoCommand(program: Command, done: (status: number) => void): void {
  program
    .command('demo')
    .description('watch real markets trip real risk layers, and verify the trail')
    .argument('[directory]', 'directory of the trail (default: a new one)')
    .option('--dir <path>', 'the same, as an option')
    .option('--seed <number>', 'seed of the simulated broker', parseCount(0))
    .option('--json', 'the result as JSON')
    .option('--quiet', 'the result only')
    .option('--live', 'play with timestamps of now, until it is ended: for dashboards')
    .option('--otlp <url>', 'with --live: send to this OTLP/HTTP address')
    .option('--speed <days>', 'with --live: trading days in a minute', parseCount(1))
    .option('--from <date>', 'with --live: first trading day, as 2008-09-01', parseDay)
    .option('--days <number>', 'only so many trading days', parseCount(1))
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string | undefined, flags: DemoFlags) => {
      const options = directory === undefined ? flags : { ...flags, dir: directory };
      if (flags.live) {
        if (flags.otlp !== undefined) process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = flags.otlp;
        const { runLiveDemo } = await import('../../demo/live.ts');
        done(await runLiveDemo(options));
        return;
      }
      for (const name of ['otlp', 'speed', 'from'] as const) {
        if (flags[name] !== undefined) program.error(`--${name} needs --live.`);
      }
      const { runDemo } = await import('../../demo/main.ts');
      done(await runDemo(options));
    });
}
