/** One input on its way through the limits: the state so far, and the events that it brings about. */

import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import { withoutNulls } from '../../core/without-nulls.ts';
import type { GateDemand } from '../trading-state.ts';
import type { CompiledLimits } from './compile.ts';
import { type Building, invalidInputEvent, setName } from './events.ts';
import type { LimitOrder } from './portfolio.ts';
import { applyLimitsChange, type LimitsChange, type LimitsState, nextReset } from './state.ts';

/** One event, and what the trading gate is to be told with it as the cause. */
export interface InputEffect {
  readonly event: CatalogEvent;
  readonly demand?: Omit<GateDemand, 'causeRecordId' | 'causeEvent'>;
}

/** One input on its way through: the state so far, and the events. */
export class Run {
  limits: CompiledLimits;
  state: LimitsState;
  readonly now: number;
  readonly effects: InputEffect[] = [];
  /** Equity that came with the input, by which drawdown is judged. */
  equity: number | undefined;
  /** Each update says when its input came, as a replay needs it. */
  readonly #timed: boolean;

  constructor(limits: CompiledLimits, state: LimitsState, now: number, timed = false) {
    this.limits = limits;
    this.state = state;
    this.now = now;
    this.#timed = timed;
  }

  update(
    change: LimitsChange,
    recordAlways: boolean,
    describe: (attributes: Building<'risk.portfolio_limit.update'>) => void,
  ): void {
    const before = this.state;
    this.state = applyLimitsChange(before, change);
    if (this.state === before && !recordAlways) return;
    const attributes: Building<'risk.portfolio_limit.update'> = {
      operation: change.type,
      'risk.limit.change': withoutNulls(change),
    };
    describe(attributes);
    if (this.#timed) attributes['risk.limit.at_ms'] = this.now;
    setName(attributes, this.limits.options);
    this.effects.push({ event: catalogEvent('risk.portfolio_limit.update', attributes) });
  }

  invalid(code: string, order: Partial<LimitOrder> | undefined, operation: string): string {
    this.effects.push({ event: invalidInputEvent(this.limits, code, order, operation) });
    return code;
  }

  startDay(): void {
    if (this.now < this.state.day.resetMs) return;
    const resetMs = nextReset(this.limits.options, this.now);
    this.update({ type: 'day_started', resetMs }, false, (attributes) => {
      attributes['risk.until'] = new Date(resetMs).toISOString();
      attributes['risk.daily_loss'] = 0;
    });
  }

  configure(input: { readonly limits: CompiledLimits; readonly actor: string; readonly reason: string }): void {
    const old = this.limits.options;
    const config = input.limits.options;
    const resetMs = nextReset(config, this.now);
    this.limits = input.limits;
    this.state = applyLimitsChange(this.state, { type: 'configured', config, resetMs });
    const attributes: Building<'config.limits_changed'> = {
      'risk.actor': input.actor,
      'risk.reason': input.reason,
      'risk.config.old': old as Record<string, unknown>,
      'risk.config.new': config as Record<string, unknown>,
      'risk.limit.change': { type: 'configured', resetMs },
    };
    setName(attributes, config);
    this.effects.push({ event: catalogEvent('config.limits_changed', attributes) });
  }
}
