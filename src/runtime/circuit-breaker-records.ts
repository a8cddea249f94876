/** The wrapper's own records: snapshots, the restored event, and changes as listeners see them. */
import { type CatalogEvent, catalogEvent, type EventAttributes } from '../catalog/events.ts';
import { encodeConfig, encodeState } from '../risk/circuit-breaker/codec.ts';
import { windowAttributes } from '../risk/circuit-breaker/events.ts';
import { breakerStatusCode } from '../risk/circuit-breaker/state.ts';
import type { BreakerChange, BreakerSnapshot } from './circuit-breaker-types.ts';
import type { RestoredAttributes } from './restore-terms.ts';

/** A state change as listeners see it. */
export function changeOf(
  attributes: EventAttributes<'risk.circuit_breaker.state_change'>,
  recordId: string | undefined,
): BreakerChange {
  const actor = attributes['risk.actor'];
  const openUntil = attributes['risk.circuit_breaker.open_until'];
  return {
    name: attributes['risk.circuit_breaker.name'],
    old: attributes['risk.circuit_breaker.state.old'],
    new: attributes['risk.circuit_breaker.state.new'],
    epoch: attributes['risk.circuit_breaker.epoch'] ?? 0,
    triggers: attributes['risk.circuit_breaker.triggers'] ?? [],
    reason: attributes['risk.reason'] ?? '',
    atMs: Date.parse(attributes['risk.circuit_breaker.at'] ?? ''),
    ...(actor === undefined ? {} : { actor }),
    ...(openUntil === undefined ? {} : { openUntilMs: Date.parse(openUntil) }),
    ...(recordId === undefined ? {} : { recordId }),
  };
}

/**
 * @param from the snapshot that it went on from
 * @param ageMs age of the record that it comes from, where that is not when it was taken
 */
export function restoredEvent(
  snapshot: BreakerSnapshot,
  from: BreakerSnapshot,
  ageMs: number | undefined,
  further: RestoredAttributes,
): CatalogEvent {
  const { name, state, config, savedAtMs } = snapshot;
  return catalogEvent('risk.circuit_breaker.restored', {
    'risk.circuit_breaker.name': name,
    'risk.circuit_breaker.state.new': state.status,
    ...windowAttributes(state, config, savedAtMs),
    'risk.restored.age_ms': ageMs ?? Math.max(0, savedAtMs - from.savedAtMs),
    ...further,
    ...(from.recordId === undefined ? {} : { 'risk.restored.record_id': from.recordId }),
  });
}

export function snapshotEvent(snapshot: BreakerSnapshot): CatalogEvent {
  const { name, state, config, savedAtMs } = snapshot;
  return catalogEvent('risk.circuit_breaker.snapshot', {
    'risk.circuit_breaker.name': name,
    ...windowAttributes(state, config, savedAtMs),
    'risk.circuit_breaker.state.new': state.status,
    'risk.circuit_breaker.state.code': breakerStatusCode(state.status),
    'risk.snapshot': { ...snapshot, config: encodeConfig(config), state: encodeState(state) },
  });
}
