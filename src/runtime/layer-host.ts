/** The trail's side of {@link LayerHost}: spans and events that never throw into a decision. */
import { type Attributes, context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { CatalogEvent } from '../catalog/events.ts';
import { type Clock, toHrTime } from '../core/clock.ts';
import { settle } from '../telemetry/context.ts';
import type { TrailHost } from './host.ts';
import { createTradingGate, type TradingGate } from './trading-gate.ts';

/** What a risk layer needs: the trail, and the gate that all layers drive. */
export interface LayerHost extends TrailHost {
  readonly gate: TradingGate;
}

export interface LayerHostOptions {
  readonly clock: Clock;
  readonly recordInputs: 'changes' | 'all';
  readonly tracer: Tracer;
  /** Records an event; never throws. */
  emit(event: CatalogEvent): string | undefined;
  report(error: unknown, where: string): void;
}

/** A host whose layers are asked for their snapshots by `takeSnapshots`. */
export interface TrailLayerHost extends LayerHost {
  takeSnapshots(): void;
}

export function createLayerHost(options: LayerHostOptions): TrailLayerHost {
  const { clock, recordInputs, tracer, emit, report } = options;
  const takers = new Set<() => readonly CatalogEvent[]>();

  /** Our own spans' calls go through here: a foreign SDK may throw. */
  function quietly(where: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      report(error, where);
    }
  }

  function end(span: Span, failure?: { error: unknown }): void {
    if (failure !== undefined) {
      const { error } = failure;
      quietly('span exception', () => {
        span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
        span.recordException(error instanceof Error ? error : String(error), toHrTime(clock.now()));
      });
    }
    quietly('span end', () => span.end(toHrTime(clock.now())));
  }

  function span<T>(name: string, attributes: Attributes, fn: () => T): T {
    let started: Span | undefined;
    quietly('span start', () => {
      started = tracer.startSpan(name, { attributes, startTime: toHrTime(clock.now()) });
    });
    if (started === undefined) return fn();
    const within = started;
    return settle(
      () => context.with(trace.setSpan(context.active(), within), fn),
      (failed, error) => end(within, failed ? { error } : undefined),
    );
  }

  const base = {
    clock,
    recordInputs,
    emit,
    report,
    span,
    onSnapshot(take: () => readonly CatalogEvent[]) {
      takers.add(take);
      return { dispose: () => void takers.delete(take) };
    },
    takeSnapshots() {
      for (const take of takers) {
        quietly('snapshot', () => {
          for (const event of take()) emit(event);
        });
      }
    },
  };
  return { ...base, gate: createTradingGate(base) };
}
