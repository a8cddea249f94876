/** `risktrail demo`: a trend-following book over twenty years of real prices, its risk layers, and the trail they leave. */
import type { Command } from 'commander';
import { parseCount } from '../option-values.ts';

/** What the demo is told. */
export interface DemoFlags {
  /** Directory of the trail. */
  readonly dir?: string;
  /** Seed of the simulated broker's outages. */
  readonly seed?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const EXAMPLES = `
Prices are the real S&P 500 daily series of 2000 to 2020; the broker and its outages are simulated from the seed.

Examples:
  $ risktrail demo
  $ risktrail demo ./demo-trail && risktrail verify ./demo-trail
  $ risktrail demo --quiet --json | jq .verify
`;

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
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string | undefined, flags: DemoFlags) => {
      const { runDemo } = await import('../../demo/main.ts');
      done(await runDemo(directory === undefined ? flags : { ...flags, dir: directory }));
    });
}
