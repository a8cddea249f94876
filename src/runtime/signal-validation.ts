/** Signal validation, recorded. */
import {
  type SignalContext,
  type SignalInput,
  type SignalValidationResult,
  validateSignal,
} from '../risk/signal-validation.ts';
import type { LayerHost } from './layer-host.ts';

export type { SignalCheck, SignalCode, SignalContext, SignalInput } from '../risk/signal-validation.ts';

/** What came of a validation, and the record that says so. */
export interface SignalVerdict extends SignalValidationResult {
  /** Record id of `risk.validation` or `risk.rejection`. */
  readonly recordId?: string;
}

export interface SignalValidation {
  /**
   * Never throws; a bad signal, or a bad context, is denied with a code.
   * @example
   * const verdict = trail.validateSignal(
   *   { symbol: 'BTC/USDT', signalType: 'long_entry', entryPrice: 65_000, stopLoss: 63_700, takeProfit: 68_000 },
   *   { position: 0, minStopDistancePercent: 0.5, minRewardRisk: 1.5 },
   * );
   * if (!verdict.allowed) return verdict.code;
   */
  validateSignal(signal: SignalInput, against?: SignalContext): SignalVerdict;
}

/** `trail.validateSignal`: the checks, their event and their span. */
export function createSignalValidation(host: LayerHost): SignalValidation {
  return {
    validateSignal(signal, against) {
      let result: SignalValidationResult = FAILED;
      try {
        const validated = validateSignal(signal, against);
        result = validated.result;
        const symbol = signal?.symbol;
        const attributes = {
          'risk.component': 'signal_validation',
          ...(typeof symbol === 'string' ? { 'trading.symbol': symbol } : {}),
        };
        const recordIds = host.span('risk.signal_validation', attributes, () =>
          validated.events.map((event) => host.emit(event)),
        );
        const recordId = recordIds.at(-1);
        return recordId === undefined ? result : { ...result, recordId };
      } catch (error) {
        // The verdict stands where only recording it failed.
        host.report(error, 'validateSignal');
        return result;
      }
    },
  };
}

const FAILED: SignalValidationResult = Object.freeze({
  allowed: false,
  code: 'SIGNAL_VALIDATION_FAILED',
  reason: 'the signal could not be validated',
  checks: Object.freeze([]),
});
