/** Attributes that an index of records looks at. */

export const WANTED = [
  'audit.record.id',
  'audit.stream',
  'audit.sequence.number',
  'risk.cause.record_id',
  'risk.scope',
  'risk.decision',
  'risk.rule.mode',
  'risk.trading_state.new',
  'risk.circuit_breaker.name',
  'trading.order.id',
  'trading.order.client_id',
  'trading.order.ids',
  'trading.execution.id',
  'trading.position.id',
  'risk.trailing_stop.id',
] as const;
export type Wanted = (typeof WANTED)[number];
/** Their places in the list. */
export const AT = Object.fromEntries(WANTED.map((name, at) => [name, at])) as Readonly<Record<Wanted, number>>;
