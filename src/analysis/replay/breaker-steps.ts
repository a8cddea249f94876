/** What a circuit breaker was given, read back from what it recorded. */

import { decodeConfig, decodeState } from '../../risk/circuit-breaker/codec.ts';
import type { BreakerInput, FailureInfo, ManualAct } from '../../risk/circuit-breaker/input.ts';
import type { RecordedEvent } from '../../risk/recorded-event.ts';
import type { Place, Step } from './steps.ts';

/** Transitions that time alone brings about. */
const BY_TIME: ReadonlySet<unknown> = new Set(['cooldown', 'time_of_day']);
const DUPLICATE = 'CIRCUIT_BREAKER_RESULT_DUPLICATE';

/** The input behind an event; undefined where the event is what came of another one's input. */
export function breakerStep(name: string, event: RecordedEvent, place: Place): Step | undefined {
  const { attributes } = event;
  const get = (key: string) => attributes[`risk.circuit_breaker.${key}`];
  const at = get('at');
  const now = typeof at === 'string' ? Date.parse(at) : Math.floor(event.timeMs);
  const call = get('call.id') as number | undefined;
  const step = (input: BreakerInput, further: object = {}): Step => ({
    kind: 'breaker',
    ...{ name, input, place, now },
    ...further,
  });
  switch (event.name.slice('risk.circuit_breaker.'.length)) {
    case 'snapshot': {
      const snapshot = attributes['risk.snapshot'] as Record<string, Record<string, unknown>> | undefined;
      if (typeof snapshot?.['config'] !== 'object' || typeof snapshot['state'] !== 'object') return undefined;
      const cause = snapshot['causeRecordId'] as unknown;
      return {
        kind: 'breaker_snapshot',
        name,
        config: decodeConfig(snapshot['config']),
        state: decodeState(snapshot['state']),
        cause: typeof cause === 'string' ? cause : undefined,
        place,
        now,
      };
    }
    case 'restored': {
      const clockStepMs = Number(attributes['risk.restored.clock_step_ms'] ?? 0);
      return { kind: 'breaker_restored', name, clockStepMs, place, now };
    }
    case 'permitted':
    case 'exit_permitted':
    case 'probe':
    case 'not_permitted': {
      const reduces = event.name.endsWith('.exit_permitted') || get('reduces') === true;
      return step({ type: 'allow', reduces, call }, { permitted: !event.name.endsWith('.not_permitted') });
    }
    case 'success':
    case 'failure': {
      if (get('result') === 'timeout') return step({ type: 'tick' });
      const counted = get('counted') === true;
      const unasked = call === undefined && counted && get('state.code') === 0 && get('probe.id') === undefined;
      return step({ ...resultOf(event), ...(counted ? {} : { bypassed: true }) }, unasked ? { unasked } : {});
    }
    case 'late_result': {
      const code = String(attributes['risk.reason.code'] ?? '');
      const duplicate = code === DUPLICATE;
      return step({ ...resultOf(event), ...(duplicate ? { duplicate } : { epoch: -1 }) }, { late: code });
    }
    case 'probe_released':
      return step({ type: 'release', epoch: Number(get('epoch') ?? 0), probe: Number(get('probe.id')), call });
    case 'trade_result': {
      const symbol = attributes['trading.symbol'];
      return step({
        type: 'trade',
        pnl: Number(attributes['trading.pnl']),
        stopLoss: get('stop_loss') === true,
        ...(typeof symbol === 'string' ? { symbol } : {}),
      });
    }
    case 'equity':
      return step({ type: 'equity', equity: Number(attributes['trading.equity']) });
    case 'manual_trip':
    case 'manual_reset':
    case 'manual_disable':
      return step({
        type: 'manual',
        act: attributes['operation'] as ManualAct,
        actor: String(attributes['risk.actor'] ?? ''),
        reason: String(attributes['risk.reason'] ?? ''),
      });
    case 'config_changed':
      return step({
        type: 'configure',
        config: decodeConfig(attributes['risk.config.new'] as Record<string, unknown>),
        actor: String(attributes['risk.actor'] ?? ''),
        reason: String(attributes['risk.reason'] ?? ''),
      });
    case 'clock_step':
      return step({ type: 'clock_step', deltaMs: Number(get('clock_step_ms')) });
    case 'state_change':
      return BY_TIME.has(get('trigger')) ? step({ type: 'tick' }) : undefined;
    default:
      return undefined;
  }
}

function resultOf({ attributes }: RecordedEvent): Extract<BreakerInput, { type: 'result' }> {
  const failed = attributes['risk.circuit_breaker.result'] !== 'success';
  const probe = attributes['risk.circuit_breaker.probe.id'] as number | undefined;
  const call = attributes['risk.circuit_breaker.call.id'] as number | undefined;
  const durationMs = attributes['timing.duration_ms'] as number | undefined;
  const error: FailureInfo = {
    type: attributes['error.type'] as string | undefined,
    code: attributes['error.code'] as string | undefined,
    message: attributes['error.message'] as string | undefined,
  };
  return {
    ...{ type: 'result', failed, error },
    ...(probe === undefined ? {} : { probe }),
    ...(call === undefined ? {} : { call }),
    ...(durationMs === undefined ? {} : { durationMs }),
  };
}
