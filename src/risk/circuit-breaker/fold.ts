/** Rebuilds a breaker's state from its recorded events. Transitions are taken from the record, not decided a second time. */
import { decodeConfig, decodeState } from './codec.ts';
import type { BreakerConfig } from './options.ts';
import {
  adaptState,
  addProbe,
  applyTransition,
  type BreakerState,
  type BreakerStatus,
  clearCounts,
  endProbe,
  shiftState,
} from './state.ts';
import { addEquity, addTrade } from './trading-triggers.ts';
import { addCall } from './window.ts';

/** Settings and state, which `risk.snapshot` of a breaker's snapshot event holds among others. */
export interface FoldedBreaker {
  readonly config: BreakerConfig;
  readonly state: BreakerState;
}

/** An event as it was recorded, of one breaker. */
export interface RecordedBreakerEvent {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * Applies one event. A breaker's first event is its snapshot; what comes before any snapshot is passed over.
 * @returns the folded breaker; undefined before the first snapshot
 */
export function foldBreaker(folded: FoldedBreaker | undefined, event: RecordedBreakerEvent): FoldedBreaker | undefined {
  const { name, attributes } = event;
  if (name === 'risk.circuit_breaker.snapshot') {
    const { config, state } = attributes['risk.snapshot'] as Record<'config' | 'state', Record<string, unknown>>;
    return { config: decodeConfig(config), state: decodeState(state) };
  }
  if (folded === undefined) return undefined;
  const { config, state } = folded;
  if (name === 'risk.circuit_breaker.config_changed') {
    const next = decodeConfig(attributes['risk.config.new'] as Record<string, unknown>);
    return { config: next, state: adaptState(state, config, next) };
  }
  return { config, state: foldState(state, config, name, attributes) };
}

function foldState(
  state: BreakerState,
  config: BreakerConfig,
  name: string,
  attributes: Readonly<Record<string, unknown>>,
): BreakerState {
  const get = (key: string) => attributes[`risk.circuit_breaker.${key}`];
  const time = (key: string): number => Date.parse(get(key) as string);
  const probeId = get('probe.id') as number | undefined;
  switch (name) {
    case 'risk.circuit_breaker.failure':
    case 'risk.circuit_breaker.success': {
      if (get('counted') !== true) return state;
      const failed = get('result') !== 'success';
      const slow = get('slow') === true;
      if (state.status === 'HALF_OPEN')
        return endProbe(state, probeId, !failed && !(slow && config.slowCallRate !== null));
      return { ...state, calls: addCall(state.calls, config, time('at'), failed, slow) };
    }
    case 'risk.circuit_breaker.probe':
      return addProbe(state, { id: probeId ?? state.nextProbe, deadlineMs: time('probe.until') });
    case 'risk.circuit_breaker.probe_released':
      return endProbe(state, probeId, false);
    case 'risk.circuit_breaker.trade_result': {
      const trade = { pnl: Number(attributes['trading.pnl']), stopLoss: get('stop_loss') === true };
      return { ...state, trades: addTrade(state.trades, config, time('at'), trade) };
    }
    case 'risk.circuit_breaker.equity':
      return { ...state, trades: addEquity(state.trades, config, Number(attributes['trading.equity'])) };
    case 'risk.circuit_breaker.manual_reset':
      return clearCounts(state);
    case 'risk.circuit_breaker.clock_step':
      return shiftState(state, get('clock_step_ms') as number);
    case 'risk.circuit_breaker.state_change':
      return applyTransition(state, {
        to: get('state.new') as BreakerStatus,
        atMs: time('at'),
        triggers: get('triggers') as readonly string[],
        openUntilMs: get('open_until') === undefined ? null : time('open_until'),
        untilIsFixed: get('open_until_fixed') === true,
      });
    default:
      return state;
  }
}
