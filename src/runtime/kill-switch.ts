/** The kill switch: trading halts first, then the orders given are cancelled, and no outcome is lost. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';

export interface KillSwitchOptions {
  readonly actor: string;
  readonly reason: string;
  /** `global` (default) or kind:id. */
  readonly scope?: string | undefined;
  /** Orders to cancel. */
  readonly orders?: readonly string[] | undefined;
  /** Cancels one order; called once per order, all at once. */
  readonly cancel?: ((orderId: string) => Promise<unknown>) | undefined;
  /** How long a cancel may take before its outcome is `unknown`. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

/** What came of one order. `unknown`: no `cancel` was given, or it did not answer in time. */
export interface OrderOutcome {
  readonly orderId: string;
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
  readonly error?: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** A timer set for longer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * @param emit records an event; never throws
 * @param halt halts with the record id of the kill switch's event as the cause; never throws
 * @returns one outcome per order, in the order given; never rejects. A result that comes after its time-out is one more event.
 */
export async function runKillSwitch(
  options: KillSwitchOptions,
  emit: (event: CatalogEvent) => string | undefined,
  halt: (act: KillSwitchOptions, causeRecordId: string | undefined) => void,
): Promise<readonly OrderOutcome[]> {
  const given = (options ?? {}) as Partial<KillSwitchOptions>;
  const orders = listOf(given.orders).map(idOf);
  const timeoutMs =
    typeof given.timeoutMs === 'number' && given.timeoutMs > 0
      ? Math.min(given.timeoutMs, MAX_TIMER_MS)
      : DEFAULT_TIMEOUT_MS;
  const text = (value: unknown, otherwise: string) =>
    typeof value === 'string' && value.trim() !== '' ? value : otherwise;
  const shared = {
    'risk.actor': text(given.actor, 'unnamed'),
    'risk.reason': text(given.reason, 'none given'),
    'risk.scope': text(given.scope, 'global'),
  };
  const switchId = emit(
    catalogEvent('risk.kill_switch', {
      ...shared,
      'risk.action': 'halt',
      ...(orders.length === 0 ? {} : { 'trading.order.ids': orders }),
    }),
  );
  halt(options, switchId);

  const record = (result: OrderOutcome, error?: unknown): OrderOutcome => {
    emit(
      catalogEvent('risk.kill_switch', {
        ...shared,
        'risk.action': 'cancel',
        'trading.order.id': result.orderId,
        'risk.outcome': result.outcome,
        ...(result.error === undefined ? {} : { 'error.message': result.error }),
        ...(error instanceof Error ? { 'error.type': error.name } : {}),
        ...(switchId === undefined ? {} : { 'risk.cause.record_id': switchId, 'risk.cause.event': 'risk.kill_switch' }),
      }),
    );
    return result;
  };

  return Promise.all(orders.map((orderId) => cancelOne(orderId, given.cancel, timeoutMs, record)));
}

function cancelOne(
  orderId: string,
  cancel: KillSwitchOptions['cancel'],
  timeoutMs: number,
  record: (result: OrderOutcome, error?: unknown) => OrderOutcome,
): Promise<OrderOutcome> {
  if (typeof cancel !== 'function') {
    return Promise.resolve(record({ orderId, outcome: 'unknown', error: 'no cancel function was given' }));
  }
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => resolve(record({ orderId, outcome: 'unknown', error: `no answer within ${timeoutMs} ms` })),
      timeoutMs,
    );
    // Resolving a second time does nothing: a late answer is recorded, and the caller keeps what it was told.
    const settle = (result: OrderOutcome, error?: unknown) => {
      clearTimeout(timer);
      resolve(record(result, error));
    };
    Promise.resolve()
      .then(() => cancel(orderId))
      .then(
        () => settle({ orderId, outcome: 'succeeded' }),
        (error: unknown) => settle({ orderId, outcome: 'failed', error: messageOf(error) }, error),
      );
  });
}

/** In an emergency nobody should learn that a Set is no array: whatever can be walked through is, and one id is one order. */
function listOf(orders: unknown): readonly unknown[] {
  if (typeof orders === 'string') return [orders];
  try {
    return Array.from((orders ?? []) as Iterable<unknown>);
  } catch {
    return [];
  }
}

function idOf(order: unknown): string {
  try {
    return String(order);
  } catch {
    return 'an id that has no text';
  }
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'an error that has no text';
  }
}
