/** One step under way: the state as it stands so far, the events so far, and what the parts of a step share. */
import { type CatalogEvent, catalogEvent, type EventAttributes } from '../../catalog/events.ts';
import { reasonOf, triggerAttributes, windowAttributes } from './events.ts';
import type { BreakerContext, BreakerDecision, ManualAct } from './input.ts';
import type { BreakerConfig } from './options.ts';
import { nextTimeOfDay } from './schedule.ts';
import { applyTransition, type BreakerState, breakerStatusCode, type Transition } from './state.ts';
import { isTradeTrigger } from './trading-triggers.ts';
import type { Reached } from './window.ts';

/** Who acted, as attributes. */
export interface Actor {
  readonly 'risk.actor': string;
  readonly 'risk.reason': string;
  readonly operation: ManualAct;
}

export class Draft {
  readonly name: { readonly 'risk.circuit_breaker.name': string };
  readonly config: BreakerConfig;
  /** Inputs that change nothing are recorded too. */
  readonly all: boolean;
  readonly events: CatalogEvent[] = [];
  readonly now: number;
  state: BreakerState;

  constructor(context: BreakerContext, state: BreakerState, now: number) {
    this.name = { 'risk.circuit_breaker.name': context.name };
    this.config = context.config;
    this.all = context.recordInputs === 'all';
    this.state = state;
    this.now = now;
  }

  record(event: CatalogEvent): void {
    this.events.push(event);
  }

  /** Opens it (again): until a time of day where trading triggers alone ask for it and one is set, else for the cool-down. */
  open(reached: readonly Reached[], triggers: readonly string[], atMs: number, actor?: Actor): void {
    const { unlockAt, latched, cooldownMs } = this.config;
    let untilIsFixed = unlockAt !== null && triggers.every(isTradeTrigger);
    let openUntilMs: number | null = latched
      ? null
      : untilIsFixed && unlockAt !== null
        ? nextTimeOfDay(atMs, unlockAt.time, unlockAt.timeZone)
        : atMs + cooldownMs;
    const before = this.state;
    if (before.status === 'OPEN' && openUntilMs !== null) {
      // A second trigger never shortens what the first began.
      if (before.openUntilMs === null || before.openUntilMs >= openUntilMs)
        [openUntilMs, untilIsFixed] = [before.openUntilMs, before.untilIsFixed];
    }
    this.transition(
      { to: 'OPEN', atMs, triggers, openUntilMs, untilIsFixed: untilIsFixed && !latched },
      reached,
      actor,
    );
  }

  /** Records an input that cannot be used, and changes nothing. */
  invalid(code: string, by?: Actor): BreakerDecision {
    this.events.push(
      catalogEvent('risk.circuit_breaker.invalid_input', { ...this.name, 'risk.reason.code': code, ...by }),
    );
    return { permitted: false, code };
  }

  transition(transition: Transition, reached: readonly Reached[], actor?: Actor): void {
    const before = this.state;
    this.state = applyTransition(before, transition);
    const { to, atMs, triggers } = transition;
    this.events.push(
      catalogEvent('risk.circuit_breaker.state_change', {
        // The window as it was when it brought the transition about: closing empties it.
        ...windowAttributes({ ...this.state, calls: before.calls }, this.config, atMs),
        ...this.name,
        ...triggerAttributes(reached, triggers),
        'risk.circuit_breaker.state.old': before.status,
        'risk.circuit_breaker.state.new': to,
        'risk.circuit_breaker.state.code': breakerStatusCode(to),
        'risk.scope': this.config.scope,
        'risk.reason.code': `CIRCUIT_BREAKER_${(triggers[0] ?? to).toUpperCase()}`,
        'risk.reason': reasonOf(reached, triggers),
        ...actor,
      }),
    );
  }

  attributes(atMs: number): EventAttributes<'risk.circuit_breaker.failure'> {
    return { ...this.name, ...windowAttributes(this.state, this.config, atMs) };
  }
}
