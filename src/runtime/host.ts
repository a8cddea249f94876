/** What the instrumented layers need of the trail that they belong to, and nothing more: tests give them a fake. */
import type { Attributes } from '@opentelemetry/api';
import type { CatalogEvent } from '../catalog/events.ts';
import type { Clock } from '../core/clock.ts';
import type { Subscription } from '../core/listeners.ts';

export interface TrailHost {
  readonly clock: Clock;
  /** `all`: inputs that change nothing are recorded too. */
  readonly recordInputs: 'changes' | 'all';
  /** Records an event in the active span and context. Never throws. Returns its record id (telemetry class: nothing). */
  emit(event: CatalogEvent): string | undefined;
  /** Runs `fn` inside a span; what `fn` returns or throws passes through unchanged, nothing else is ever thrown. */
  span<T>(name: string, attributes: Attributes, fn: () => T): T;
  /** Told of a throw in a listener or in our own code around a decision; counts it and tells `diag`. Never throws. */
  report(error: unknown, where: string): void;
  /** `take` is asked for the layer's snapshot events periodically and at close. */
  onSnapshot(take: () => readonly CatalogEvent[]): Subscription;
}
