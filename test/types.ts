/**
 * What must not compile. `npm run check` compiles this file: an expected error that does not come is an error itself.
 * Nothing here is ever run.
 */
import { defineEvents, type RiskTrail, startRiskTrail } from '../src/index.ts';

export function emitIsChecked(trail: RiskTrail): void {
  trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': '0.10' });
  trail.emit('system.start', { metadata: { anything: [1, 'two', { three: true }] } });
  trail.emit('trade.entry', {
    'trading.symbol': 'AAPL',
    'trading.side': 'buy',
    'trading.quantity': 100,
    'trading.price': 150.25,
    'trading.account.id': 'ACC123',
  });

  // @ts-expect-error no such event
  trail.emit('order.palced', { 'trading.symbol': 'AAPL', 'trading.side': 'buy' });
  // @ts-expect-error trading.side is required
  trail.emit('order.placed', { 'trading.symbol': 'AAPL' });
  // @ts-expect-error misspelt attribute
  trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.prize': 1 });
  // @ts-expect-error wrong type
  trail.emit('order.placed', { 'trading.symbol': 7, 'trading.side': 'buy' });
  // @ts-expect-error not one of the values
  trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'long' });
  // @ts-expect-error an attribute of another event
  trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'audit.checkpoint': 'x' });
  // @ts-expect-error the attributes themselves are missing
  trail.emit('order.placed');
  // @ts-expect-error only the journal writes what becomes of its stream
  trail.emit('audit.stream_closed', { 'audit.closed.reason': 'x' });
}

export async function ownEventsAreChecked(): Promise<void> {
  const events = defineEvents({
    attributes: { 'acme.score': { type: 'number', brief: 'Score.' } },
    events: {
      'acme.rebalanced': { brief: 'The book was rebalanced.', required: ['acme.score'], optional: ['trading.symbol'] },
    },
  });
  const trail = await startRiskTrail({ serviceName: 'acme', events });
  trail.emit('acme.rebalanced', { 'acme.score': 0.5, 'trading.symbol': 'AAPL' });
  trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy' });

  // @ts-expect-error acme.score is required
  trail.emit('acme.rebalanced', {});
  // @ts-expect-error wrong type
  trail.emit('acme.rebalanced', { 'acme.score': 'high' });
  // @ts-expect-error no such event
  trail.emit('acme.rebalance', { 'acme.score': 1 });

  // @ts-expect-error an attribute that nobody defined
  defineEvents({ events: { 'acme.moved': { brief: 'Moved.', required: ['acme.distance'] } } });
}
