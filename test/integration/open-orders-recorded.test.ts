import { logs } from '@opentelemetry/api';
import { expect, it } from 'vitest';
import { rebuildRiskState } from '../../src/state/rebuild-state.ts';
import { startTestTrail } from '../support/trail.ts';

it('open orders are those of the trail: context, times and texts as recorded, other loggers’ events among them', async () => {
  const trail = await startTestTrail();
  const intent = { 'trading.side': 'buy', 'trading.quantity': 5, 'trading.order.client_id': 'c1' };
  trail.withContext({ symbol: 'AAPL' }, () =>
    trail.emit('order.intent', intent as never, { timeMs: 1_700_000_000_000.125 }),
  );
  logs.getLogger('broker').emit({
    eventName: 'order.placed',
    attributes: { 'trading.symbol': 'MSFT', 'trading.side': 'sell', 'trading.order.id': 'v2' },
  });
  trail.emit('order.intent', { ...intent, 'trading.symbol': 'NVDA', 'trading.order.client_id': 'c3' } as never);
  trail.emit('order.filled', { 'trading.order.client_id': 'c3', 'trading.quantity': 5 } as never);
  const open = trail.openOrders();
  expect(open).toMatchObject([
    { clientOrderId: 'c1', symbol: 'AAPL', sinceMs: 1_700_000_000_000.125 },
    { orderId: 'v2', symbol: 'MSFT', status: 'placed' },
  ]);
  await trail.close();
  const { fold } = await rebuildRiskState({ dataDir: trail.dataDir, stream: trail.stream });
  expect(fold.findings).toEqual([]);
  expect(fold.state().openOrders).toEqual(open);
});
