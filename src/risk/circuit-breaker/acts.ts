/** What people do: trip, force open, disable, enable, reset, change settings. Each needs a name and a reason. */
import { catalogEvent } from '../../catalog/events.ts';
import { encodeConfig } from './codec.ts';
import type { Actor, Draft } from './draft.ts';
import { type BreakerDecision, type ManualAct, USED } from './input.ts';
import type { BreakerConfig } from './options.ts';
import { adaptState, type BreakerStatus, clearCounts } from './state.ts';

const MANUAL = ['manual'] as const;

export function manual(draft: Draft, act: ManualAct, actor: string, reason: string): BreakerDecision {
  const invalid = unnamed(draft, actor, reason);
  if (invalid !== undefined) return invalid;
  const by: Actor = { 'risk.actor': actor, 'risk.reason': reason, operation: act };
  const { status } = draft.state;
  const target = targetOf(act, status);
  if (target === undefined) return draft.invalid(`CIRCUIT_BREAKER_ALREADY_${status}`, by);
  if (act === 'reset' || act === 'enable') draft.state = clearCounts(draft.state);
  const attributes = { ...draft.attributes(draft.now), ...by };
  draft.record(
    act === 'disable'
      ? catalogEvent('risk.circuit_breaker.manual_disable', attributes)
      : act === 'trip' || act === 'force_open'
        ? catalogEvent('risk.circuit_breaker.manual_trip', attributes)
        : catalogEvent('risk.circuit_breaker.manual_reset', attributes),
  );
  if (target === 'OPEN') draft.open([], MANUAL, draft.now, by);
  else if (target !== status) draft.transition({ to: target, atMs: draft.now, triggers: MANUAL }, [], by);
  return USED;
}

export function configure(draft: Draft, config: BreakerConfig, actor: string, reason: string): BreakerDecision {
  const invalid = unnamed(draft, actor, reason);
  if (invalid !== undefined) return invalid;
  draft.state = adaptState(draft.state, draft.config, config);
  draft.record(
    catalogEvent('risk.circuit_breaker.config_changed', {
      ...draft.name,
      'risk.config.old': encodeConfig(draft.config),
      'risk.config.new': encodeConfig(config),
      'risk.actor': actor,
      'risk.reason': reason,
    }),
  );
  return USED;
}

function unnamed(draft: Draft, actor: unknown, reason: unknown): BreakerDecision | undefined {
  const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';
  if (!isText(actor)) return draft.invalid('CIRCUIT_BREAKER_ACTOR_MISSING');
  return isText(reason) ? undefined : draft.invalid('CIRCUIT_BREAKER_REASON_MISSING');
}

/** Where an act leads; undefined where the breaker is there already, or (trip) is beyond being tripped. */
function targetOf(act: ManualAct, status: BreakerStatus): BreakerStatus | undefined {
  switch (act) {
    case 'trip':
      return status === 'DISABLED' || status === 'FORCED_OPEN' ? undefined : 'OPEN';
    case 'force_open':
      return status === 'FORCED_OPEN' ? undefined : 'FORCED_OPEN';
    case 'disable':
      return status === 'DISABLED' ? undefined : 'DISABLED';
    case 'enable':
      return status === 'CLOSED' ? undefined : 'CLOSED';
    case 'reset':
      return 'CLOSED';
  }
}
