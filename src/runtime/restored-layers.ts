/**
 * What an earlier process left of the layers, until each is made again: by name, once. What nobody has made yet stands in
 * every round of snapshots as it was, so that the next restart still finds it.
 */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { withoutNulls } from '../core/without-nulls.ts';
import { type Building, setName } from '../risk/portfolio-limits/events.ts';
import { type LimitsSnapshot, limitsSnapshot } from '../risk/portfolio-limits/state.ts';
import { breakerKey, limitsKey, type RiskState, stopsKey } from '../risk/risk-state.ts';
import { snapshotEvent as stopsSnapshotEvent } from '../risk/trailing-stop.ts';
import { snapshotEvent as breakerSnapshotEvent } from './circuit-breaker-records.ts';
import type { BreakerSnapshot } from './circuit-breaker-snapshot.ts';
import type { RestoredTrailingStops } from './trailing-stops.ts';

/** A breaker's state and the age of the record that it comes from. */
export interface RestoredBreaker {
  readonly snapshot: BreakerSnapshot;
  readonly ageMs: number;
}

/** A set of limits' state, the record that it comes from, its age, and the time of the trail's last record. */
export interface RestoredLimits {
  readonly snapshot: LimitsSnapshot;
  readonly recordId: string;
  readonly ageMs: number;
  readonly lastMs: number;
}

export class RestoredLayers {
  readonly #state: RiskState;
  readonly #lastMs: number;
  readonly #now: () => number;
  readonly #taken = new Set<string>();

  /** @param now epoch milliseconds */
  constructor(state: RiskState, now: () => number) {
    this.#state = state;
    this.#lastMs = state.last?.timeMs ?? 0;
    this.#now = now;
  }

  breaker(name: string): RestoredBreaker | undefined {
    const entry = this.#state.breakers.get(name);
    if (entry === undefined || this.#taken.has(breakerKey(name))) return undefined;
    return { snapshot: this.#breakerSnapshot(name), ageMs: this.#age(entry.timeMs) };
  }

  limits(set: string): RestoredLimits | undefined {
    const entry = this.#state.limits.get(set);
    if (entry === undefined || this.#taken.has(limitsKey(set))) return undefined;
    const { state, recordId, timeMs } = entry;
    return { snapshot: limitsSnapshot(state), recordId, ageMs: this.#age(timeMs), lastMs: this.#lastMs };
  }

  stops(set: string): RestoredTrailingStops | undefined {
    const entry = this.#state.stops.get(set);
    if (entry === undefined || this.#taken.has(stopsKey(set))) return undefined;
    const { stops, recordId, timeMs } = entry;
    return { state: { stops }, recordId, ageMs: this.#age(timeMs), lastMs: this.#lastMs };
  }

  /** The layer was made, and tells of itself from now on. */
  take(key: string): void {
    this.#taken.add(key);
  }

  /** The layers that nobody has made yet. */
  keys(): readonly string[] {
    const { breakers, limits, stops } = this.#state;
    const keys = [
      ...Array.from(breakers.keys(), breakerKey),
      ...Array.from(limits.keys(), limitsKey),
      ...Array.from(stops.keys(), stopsKey),
    ];
    return keys.filter((key) => !this.#taken.has(key));
  }

  /** Their snapshots, as they were left. */
  snapshots(): readonly CatalogEvent[] {
    const { breakers, limits, stops } = this.#state;
    const events: CatalogEvent[] = [];
    for (const name of breakers.keys()) {
      if (!this.#taken.has(breakerKey(name))) events.push(breakerSnapshotEvent(this.#breakerSnapshot(name)));
    }
    for (const [set, { state }] of limits) {
      if (this.#taken.has(limitsKey(set))) continue;
      const attributes: Building<'risk.portfolio_limit.snapshot'> = {
        'risk.snapshot': withoutNulls(limitsSnapshot(state)),
      };
      setName(attributes, state.config);
      events.push(catalogEvent('risk.portfolio_limit.snapshot', attributes));
    }
    for (const [set, entry] of stops) {
      if (!this.#taken.has(stopsKey(set))) events.push(stopsSnapshotEvent({ stops: entry.stops }));
    }
    return events;
  }

  #breakerSnapshot(name: string): BreakerSnapshot {
    const { config, state, recordId, causeRecordId } = this.#state.breakers.get(name)!;
    return {
      ...{ version: 1, name, savedAtMs: Math.floor(this.#lastMs), config, state, recordId },
      ...(causeRecordId === undefined ? {} : { causeRecordId }),
    };
  }

  #age(timeMs: number): number {
    return Math.max(0, this.#now() - timeMs);
  }
}
