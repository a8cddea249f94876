import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runBot } from '../../support/bots/run-bot.ts';
import { folderWith, isMissing, type Majors, NOT_INSTALLED } from '../../support/previous-majors.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { type IbOutcome, startIbVenue } from '../../support/venues/ib-socket.ts';

const OUTCOMES: readonly IbOutcome[] = [
  ...(['success', 'filled', 'insufficient', 'cancelled', 'warning', 'slow', 'silent', 'reset'] as const),
];

/** What is told of each order, by its number, after its intent. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  1: ['order.placed presubmitted', 'order.cancelled cancelled'],
  2: ['order.placed submitted', 'order.filled 2 at 189', 'order.filled 3 at 189.5'],
  3: ['order.rejected 201'],
  4: ['order.placed submitted', 'order.cancelled cancelled'],
  5: ['order.placed presubmitted'],
  6: ['order.placed submitted', 'order.edited to 191'],
  7: ['order.outcome_unknown'],
  8: ['order.outcome_unknown'],
};

const BOTS = join(import.meta.dirname, '../../support/bots');
/** By `import` and by `require`, with the current version and the oldest one that is known to work: all of one major. */
const CASES: readonly [Majors, 'mjs' | 'cjs'][] = [
  ['current', 'mjs'],
  ['current', 'cjs'],
  ['previous', 'cjs'],
];

it.for(CASES)(
  'orders by the socket of TWS (%s, %s): intent before the send, each status once, the rest unknown when the connection is lost',
  {
    timeout: 120_000,
  },
  async ([majors, kind], { skip }) => {
    skip(isMissing(majors), NOT_INSTALLED);
    // The connection is cut by the last order: after everything else was said.
    const venue = await startIbVenue(OUTCOMES.slice(0, -1));
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    let seen = '';
    const files = [`ib.${kind}`, 'ib-steps.cjs'].map((file) => join(BOTS, file));
    const folder = folderWith(majors, files, ['@stoqey/ib']);
    const { code, err } = await runBot(join(folder, `ib.${kind}`), [String(venue.port), '7'], {
      dataDir,
      onOutput(text) {
        seen += text;
        if (/^6 changed Submitted/m.test(seen) && /^1 Cancelled/m.test(seen)) void venue.close();
      },
    });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const records = await readTrail(dataDir);
    const orders = records.filter(({ event }) => event?.startsWith('order.'));
    for (let number = 1; number <= 7; number++) {
      const [intent, ...outcomes] = orders.filter((one) => one['trading.order.id'] === String(number));
      expect(intent).toMatchObject({
        ...{ event: 'order.intent', 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 5 },
        ...{ 'trading.price': 190, 'trading.order.client_id': `bot-${number - 1}`, 'trading.venue': 'ib' },
      });
      const told = outcomes.map((one) => {
        const rest =
          one.event === 'order.filled'
            ? [one['trading.quantity'], 'at', one['trading.price']]
            : one.event === 'order.edited'
              ? ['to', one['trading.price']]
              : [one.event === 'order.rejected' ? one['error.code'] : one['trading.order.status']];
        return [one.event, ...rest].filter((part) => part !== undefined).join(' ');
      });
      expect(told).toEqual(EXPECTED[number]);
      expect(outcomes[0]?.['risk.cause.record_id']).toBe(intent?.record_id);
    }
  },
);

it('a connection that is cut while an order is on its way leaves its outcome unknown', {
  timeout: 120_000,
}, async () => {
  const venue = await startIbVenue(['reset']);
  onTestFinished(() => venue.close());
  const dataDir = temporaryDirectory();
  await runBot(join(BOTS, 'ib.cjs'), [String(venue.port), '1'], { dataDir });
  const orders = (await readTrail(dataDir)).filter(({ event }) => event?.startsWith('order.'));
  expect(orders.map(({ event }) => event)).toEqual(['order.intent', 'order.outcome_unknown']);
});
