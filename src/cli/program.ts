/** The command line as a whole: which commands there are, and how wrong usage is told. */
import { Command, CommanderError } from 'commander';
import { isRiskTrailError } from '../core/errors.ts';
import { VERSION } from '../version.ts';
import { addAlertsCommand } from './commands/alerts.ts';
import { addCheckProofCommand } from './commands/check-proof.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEventsCommand } from './commands/events.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addExportCommand } from './commands/export.ts';
import { addKeysCommand } from './commands/keys.ts';
import { addKillCommand } from './commands/kill.ts';
import { addProveCommand } from './commands/prove.ts';
import { addQueryCommand } from './commands/query.ts';
import { addReconcileCommand } from './commands/reconcile.ts';
import { addReconcileOrdersCommand } from './commands/reconcile-orders.ts';
import { addReplayCommand } from './commands/replay.ts';
import { addReportCommand } from './commands/report.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addSchemaCommand } from './commands/schema.ts';
import { addServeCommand } from './commands/serve.ts';
import { addShipCommand } from './commands/ship.ts';
import { addStateCommand } from './commands/state.ts';
import { addStatusCommand } from './commands/status.ts';
import { addTailCommand } from './commands/tail.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { EXIT } from './exit-codes.ts';
import { withNearestPath } from './paths.ts';

const EXAMPLES = `
Exit status: 0 good, 1 a finding or a no, 2 incomplete or degraded, 3 wrong usage or unreadable input.

Examples:
  $ risktrail demo
  $ risktrail events ./risktrail-data --category risk --since 24h
  $ risktrail tail ./risktrail-data --severity WARN
  $ risktrail verify ./risktrail-data --vkey /safe/momentum-bot.vkey
`;

const COMMANDS = [
  addDemoCommand,
  addEventsCommand,
  addTailCommand,
  addExplainCommand,
  addStateCommand,
  addReplayCommand,
  addReportCommand,
  addQueryCommand,
  addExportCommand,
  addAlertsCommand,
  addVerifyCommand,
  addProveCommand,
  addCheckProofCommand,
  addReconcileCommand,
  addReconcileOrdersCommand,
  addRestoreCommand,
  addKillCommand,
  addStatusCommand,
  addDoctorCommand,
  addShipCommand,
  addServeCommand,
  addKeysCommand,
  addSchemaCommand,
];

/** The program with its commands. What a command loads, it loads when it runs: help is quick. */
export function createProgram(done: (status: number) => void): Command {
  const program = new Command('risktrail')
    .description('The flight recorder for trading risk: look at, follow and verify an audit trail.')
    .version(VERSION, '-V, --version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) });
  for (const add of COMMANDS) {
    add(program, done);
  }
  for (const command of program.commands)
    command.helpOption('-h, --help', 'show this help').copyInheritedSettings(program);
  return program;
}

/** The parser's message and its suggestion as one line. */
function usageLine(text: string): string {
  const message = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  return `risktrail: ${message}\n`;
}

/**
 * Runs one command line.
 * @param args without the program's name
 * @returns the exit status
 */
export async function runCli(args: readonly string[]): Promise<number> {
  let status: number = EXIT.good;
  const program = createProgram((one) => {
    status = one;
  });
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT.usage;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage;
    process.stderr.write(`risktrail: ${describe(withNearestPath(error))}\n`);
    return EXIT.usage;
  }
}

function describe(error: unknown): string {
  if (isRiskTrailError(error)) {
    // Of an option, the message says all: what was expected.
    const remedy = error.code.startsWith('OPTION_') ? '' : `. ${error.remedy}`;
    return `${error.message}${remedy}`;
  }
  if (!(error instanceof Error)) return String(error);
  // An error of the system speaks for itself; anything else is a defect, whose place is wanted.
  return 'code' in error ? error.message : (error.stack ?? error.message);
}
