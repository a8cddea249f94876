/** What differs between the states of two moments, member by member. */
import { differences } from '../core/difference.ts';
import type { StateLayer, StateView } from './state-view.ts';

/** One member that differs; null where it, or its whole layer, was not there. */
export interface StateChange {
  readonly service: string;
  readonly layer: StateLayer;
  /** Breaker, stop, set of limits, order, or scope of the trading state. */
  readonly name: string;
  /** '' where the whole came or went. */
  readonly member: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Members that say where the state is told of, not what it is. */
const PLACES: ReadonlySet<string> = new Set(['record_id', 'recordId', 'cause_record_id', 'causeRecordId']);

const LISTS = {
  circuit_breaker: { list: 'circuit_breakers', name: ['name'] },
  trailing_stop: { list: 'trailing_stops', name: ['id'] },
  portfolio_limits: { list: 'portfolio_limits', name: ['set'] },
  orders: { list: 'open_orders', name: ['orderId', 'clientOrderId', 'firstRecordId'] },
} as const;

type Row = Readonly<Record<string, unknown>>;

/** @param before views of the first moment, @param after of the second; a service's are matched in their order */
export function stateDifferences(before: readonly StateView[], after: readonly StateView[]): readonly StateChange[] {
  const serviceOf = ({ stream }: StateView) => stream.slice(0, stream.lastIndexOf('/'));
  const services = [...new Set([...before, ...after].map(serviceOf))];
  return services.flatMap((service) => {
    const [ours, theirs] = [before, after].map((views) => views.filter((one) => serviceOf(one) === service));
    const count = Math.max(ours!.length, theirs!.length);
    return Array.from({ length: count }, (_, at) => at).flatMap((at) =>
      viewDifferences(service, ours![at], theirs![at]),
    );
  });
}

function viewDifferences(
  service: string,
  before: StateView | undefined,
  after: StateView | undefined,
): readonly StateChange[] {
  const changes: StateChange[] = [];
  const trading = (view: StateView | undefined) => ({
    ...(view?.trading_state === undefined ? {} : { ...view.trading_state.scopes, global: view.trading_state.global }),
  });
  for (const { path, before: was, after: is } of differences(trading(before), trading(after))) {
    changes.push({
      service,
      layer: 'trading_state',
      name: path,
      member: 'state',
      before: was ?? 'ACTIVE',
      after: is ?? 'ACTIVE',
    });
  }
  for (const [layer, { list, name }] of Object.entries(LISTS) as [keyof typeof LISTS, (typeof LISTS)['orders']][]) {
    const [ours, theirs] = [before, after].map((view) => byName((view?.[list] ?? []) as readonly Row[], name));
    for (const key of new Set([...ours!.keys(), ...theirs!.keys()])) {
      const [was, is] = [ours!.get(key), theirs!.get(key)];
      if (was === undefined || is === undefined) {
        changes.push({ service, layer, name: key, member: '', before: was ?? null, after: is ?? null });
        continue;
      }
      for (const one of differences(was, is)) {
        if (PLACES.has(one.path)) continue;
        changes.push({
          service,
          layer,
          name: key,
          member: one.path,
          before: one.before ?? null,
          after: one.after ?? null,
        });
      }
    }
  }
  return changes;
}

function byName(rows: readonly Row[], names: readonly string[]): ReadonlyMap<string, Row> {
  return new Map(rows.map((row) => [String(names.map((name) => row[name]).find((one) => one != null) ?? ''), row]));
}
