/** `risktrail reconcile-orders`: orders whose outcome nobody recorded, to be asked of the venue. */
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ReconcileOrdersFlags {
  readonly json?: boolean;
}

const EXAMPLES = `
An intent without an outcome: the process ended, or is still waiting, between the send and the answer. An unknown outcome:
no answer came. Either order may stand at the venue: a program asks it by trail.reconcileOrders(exchange). Exit status: 0 there
is none, 1 there are some.

Examples:
  $ risktrail reconcile-orders ./risktrail-data
  $ risktrail reconcile-orders --json | jq -r '.[].client_order_id'
`;

/** Adds the command to the program. @param done told of the exit status */
export function addReconcileOrdersCommand(program: Command, done: (status: number) => void): void {
  program
    .command('reconcile-orders')
    .description('list the orders whose outcome was not recorded')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--json', 'the orders as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: ReconcileOrdersFlags) => {
      done(await reconcileOrders(paths, flags, createOutput()));
    });
}

async function reconcileOrders(paths: readonly string[], flags: ReconcileOrdersFlags, output: Output): Promise<number> {
  const { stateAt } = await import('../../analysis/state-at.ts');
  const { unsettledOrders } = await import('../../analysis/unsettled-orders.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const trail = trailPaths(paths);
  const { monotonic } = createSystemClock();
  const rows = await withProgress(`reading ${trail.join(' ')}`, monotonic, async (onProgress) =>
    unsettledOrders(await stateAt(trail, undefined, onProgress)),
  );
  if (flags.json) await output.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else if (rows.length === 0) output.note('every order has an outcome');
  else {
    const { textTable } = await import('../../analysis/text-table.ts');
    const names = [
      'since',
      'service',
      'venue',
      'symbol',
      'side',
      'quantity',
      'price',
      'order_id',
      'client_order_id',
      'outcome',
    ] as const;
    const lines = rows.map((row) => names.map((name) => String(row[name] ?? '')));
    await output.write(textTable([...names], lines));
  }
  return rows.length === 0 ? EXIT.good : EXIT.finding;
}
