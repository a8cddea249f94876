/** The trail's side of {@link LayerHost}: spans and events that never throw into a decision. */
import { type Attributes, context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { CatalogEvent } from '../catalog/events.ts';
import { type Clock, toHrTime } from '../core/clock.ts';
import { ROUND_EVENT, ROUND_LAYERS, snapshotLayer } from '../risk/risk-state.ts';
import type { TradingStateState } from '../risk/trading-state.ts';
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
  /** Demands on the gate to go on from after a restart. */
  readonly tradingState?: TradingStateState | undefined;
  /** Account that the service trades; on every round of snapshots. */
  readonly accountId?: string | undefined;
}

/** A host whose layers are asked for their snapshots by `takeSnapshots`. */
export interface TrailLayerHost extends LayerHost {
  /** Records a round of snapshots: the gate's first, which lists the layers whose snapshots follow. */
  takeSnapshots(): void;
}

export function createLayerHost(options: LayerHostOptions): TrailLayerHost {
  const { clock, recordInputs, tracer, emit, report, accountId } = options;
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
      const events: CatalogEvent[] = [];
      for (const take of takers) quietly('snapshot', () => events.push(...take()));
      const layers = events.filter((one) => one.name !== ROUND_EVENT).map((one) => snapshotLayer(one) ?? one.name);
      for (const event of events) {
        const attributes = {
          ...event.attributes,
          [ROUND_LAYERS]: layers,
          ...(accountId === undefined ? {} : { 'trading.account.id': accountId }),
        };
        emit(event.name === ROUND_EVENT ? ({ name: event.name, attributes } as CatalogEvent) : event);
      }
    },
  };
  return { ...base, gate: createTradingGate({ ...base, accountId }, options.tradingState) };
}
