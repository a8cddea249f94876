/** Position sizing, recorded. */
import { NOTHING, type PositionSize, type PositionSizeInput, sizePosition } from '../risk/position-size.ts';
import type { LayerHost } from './layer-host.ts';

export type { PositionSizeCode, PositionSizeInput } from '../risk/position-size.ts';

/** A size, and the record that says how it came about. */
export interface PositionSizeResult extends PositionSize {
  /** Record id of `risk.position_size_calculated`, or of the rejection of a bad input. */
  readonly recordId?: string;
}

export interface PositionSizing {
  /**
   * Never throws; a bad input gives quantity 0 and a code.
   * @example
   * const size = trail.sizePosition({ symbol: 'AAPL', equity: 100_000, riskPercent: 1, entryPrice: 150, stopPrice: 147, quantityStep: 1 });
   * if (size.quantity > 0) placeOrder(size.quantity); // 333
   */
  sizePosition(input: PositionSizeInput): PositionSizeResult;
}

/** `trail.sizePosition`: the calculation, its events and its span. */
export function createPositionSizing(host: LayerHost): PositionSizing {
  return {
    sizePosition(input) {
      let size: PositionSize = FAILED;
      try {
        const sized = sizePosition(input);
        size = sized.size;
        const symbol = input?.symbol;
        const attributes = {
          'risk.component': 'position_sizing',
          ...(typeof symbol === 'string' ? { 'trading.symbol': symbol } : {}),
        };
        const recordIds = host.span('risk.position_size', attributes, () =>
          sized.events.map((event) => host.emit(event)),
        );
        const recordId = recordIds.at(-1);
        return recordId === undefined ? size : { ...size, recordId };
      } catch (error) {
        // The size stands where only recording it failed.
        host.report(error, 'sizePosition');
        return size;
      }
    },
  };
}

const FAILED: PositionSize = Object.freeze({
  ...NOTHING,
  code: 'POSITION_SIZE_FAILED',
  reason: 'the size could not be calculated',
});
