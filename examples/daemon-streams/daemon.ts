// A risk daemon: it watches the positions of accounts, and when a rule is broken it closes them and locks the account out. Its
// records are of several kinds (the daemon, enforcement, API calls, errors, trades, performance): each is a category of the
// catalogue, so that a filter or `risktrail tail --split` makes a stream of each.
import { setTimeout as wait } from 'node:timers/promises';
import { defineEvents, startRiskTrail } from '../../src/index.ts';

const BROKER = process.env['BROKER_URL'] ?? 'http://127.0.0.1:8080';
const ACCOUNTS = (process.env['ACCOUNTS'] ?? 'ACC123').split(',');
const MAX_LOSS = Number(process.env['MAX_LOSS'] ?? 500);
const SLOW_MS = Number(process.env['SLOW_MS'] ?? 100);
const PAUSE_MS = Number(process.env['DAEMON_PAUSE_MS'] ?? 1000);
const ROUNDS = Number(process.env['DAEMON_ROUNDS'] ?? Number.POSITIVE_INFINITY);

interface Position {
  readonly symbol: string;
  readonly quantity: number;
  readonly price: number;
  readonly pnl: number;
}

// What the catalogue lacks is the daemon's own: it is checked, documented and filtered as the built-in events are.
const events = defineEvents({
  attributes: { 'daemon.positions': { type: 'int', brief: 'How many positions the broker listed.' } },
  events: {
    'daemon.account_checked': {
      brief: 'The rules of an account were checked.',
      message: 'Account {trading.account.id}: {daemon.positions} positions, result {trading.pnl}',
      required: ['daemon.positions', 'trading.pnl'],
      category: ['daemon'],
    },
    'api.broker_answered': {
      brief: 'A call of the broker was answered.',
      message: '{operation}: {http.response.status_code} in {timing.duration_ms} ms',
      required: ['operation', 'http.response.status_code', 'timing.duration_ms'],
      category: ['api'],
    },
  },
});

const trail = await startRiskTrail({ serviceName: 'risk-daemon', events });
const lockedOut = new Set<string>();

async function call<T>(operation: string, path: string, method: 'GET' | 'POST' = 'GET'): Promise<T> {
  const timer = trail.startTimer(operation, { thresholdMs: SLOW_MS });
  const about = (durationMs: number) => ({ operation, 'timing.duration_ms': durationMs });
  try {
    const headers = { authorization: `Bearer ${process.env['BROKER_KEY'] ?? ''}` };
    const response = await fetch(`${BROKER}${path}`, { method, headers });
    const durationMs = timer.stop();
    if (!response.ok) throw new Error(`the broker answered ${response.status}`);
    trail.emit('api.broker_answered', { ...about(durationMs), 'http.response.status_code': response.status });
    return (await response.json()) as T;
  } catch (error) {
    const { name, message } = error as Error;
    trail.emit('api.error', { ...about(timer.stop()), 'error.type': name, 'error.message': message });
    throw error;
  }
}

async function flatten(account: string, positions: readonly Position[]): Promise<void> {
  const rule = { 'risk.rule.id': 'MAX_LOSS' } as const;
  const symbols = positions.map(({ symbol }) => symbol);
  try {
    await call('flatten', `/accounts/${account}/flatten`, 'POST');
    trail.emit('enforcement.action', {
      ...rule,
      'risk.action': 'flatten',
      'risk.outcome': 'succeeded',
      'trading.symbols': symbols,
    });
    for (const { symbol, quantity, price, pnl } of positions) {
      const trade = {
        'trading.symbol': symbol,
        'trading.quantity': quantity,
        'trading.price': price,
        'trading.pnl': pnl,
      };
      trail.emit('trade.exit', { ...trade, 'risk.reason': 'MAX_LOSS' });
    }
    lockedOut.add(account);
    trail.emit('enforcement.action', { ...rule, 'risk.action': 'lock_out', 'risk.outcome': 'succeeded' });
  } catch {
    trail.emit('enforcement.action', {
      ...rule,
      'risk.action': 'flatten',
      'risk.outcome': 'failed',
      'trading.symbols': symbols,
    });
  }
}

async function check(account: string): Promise<void> {
  const positions = await call<readonly Position[]>('fetch_positions', `/accounts/${account}/positions`);
  const pnl = positions.reduce((sum, one) => sum + one.pnl, 0);
  trail.emit('daemon.account_checked', { 'daemon.positions': positions.length, 'trading.pnl': pnl });
  if (pnl > -MAX_LOSS || lockedOut.has(account)) return;
  trail.emit('enforcement.breach', {
    'risk.rule.id': 'MAX_LOSS',
    'risk.limit.current': pnl,
    'risk.limit.max': -MAX_LOSS,
  });
  await flatten(account, positions);
}

for (let round = 0; round < ROUNDS; round++) {
  for (const accountId of ACCOUNTS) {
    // One correlation id for all that comes of a check, whatever the stream.
    await trail.withContext({ accountId, correlationId: `${accountId}-${round}` }, async () => {
      try {
        await check(accountId);
      } catch (error) {
        trail.emit('system.error', { operation: 'check', 'error.message': (error as Error).message });
      }
    });
  }
  await wait(PAUSE_MS);
}
await trail.close();
