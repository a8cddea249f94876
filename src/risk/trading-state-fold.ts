/** Rebuilds the trading state from its recorded events. */
import { isTradingState, type StandingDemand, type TradingStateState } from './trading-state.ts';

/** An event as it was recorded. */
export interface RecordedTradingStateEvent {
  readonly name: string;
  readonly recordId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Applies one event; events of other layers change nothing. Begin with `INITIAL_TRADING_STATE`, or with any snapshot event. */
export function foldTradingState(state: TradingStateState, event: RecordedTradingStateEvent): TradingStateState {
  const { name, recordId, attributes } = event;
  if (name === 'risk.trading_state_snapshot') {
    return { demands: (attributes['risk.snapshot'] as TradingStateState).demands };
  }
  if (name !== 'risk.trading_state_change' && name !== 'risk.trading_state_demand') return state;
  const text = (key: string): string | undefined => attributes[key] as string | undefined;
  const source = text('risk.trading_state.source') ?? '';
  const scope = text('risk.scope') ?? '';
  const demanded = attributes['risk.trading_state.demand'];
  const others = state.demands.filter((one) => one.source !== source || one.scope !== scope);
  if (!isTradingState(demanded) || demanded === 'ACTIVE') return { demands: others };
  const until = text('risk.until');
  const demand: StandingDemand = {
    source,
    state: demanded,
    scope,
    actor: text('risk.actor') ?? '',
    reason: text('risk.reason') ?? '',
    // What is absent is left out: a snapshot event holds the demands as they are.
    ...given('reasonCode', text('risk.reason.code')),
    ...given('causeRecordId', text('risk.cause.record_id')),
    ...given('causeEvent', text('risk.cause.event')),
    ...given('untilMs', until === undefined ? undefined : Date.parse(until)),
    recordId,
  };
  return { demands: [...others, demand] };
}

const given = <K extends string, V>(key: K, value: V | undefined): { readonly [k in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [k in K]?: V });
