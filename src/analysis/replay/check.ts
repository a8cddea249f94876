/** Holds a replay with unchanged parameters against the recording: every decision, attribute by attribute. */
import type { CatalogEvent } from '../../catalog/events.ts';
import { differences } from '../../core/difference.ts';
import { CONTEXT_ASSUMED } from '../../risk/upcast.ts';
import { NO_CHANGES } from './parameters.ts';
import type { LayerKey, Place, RecordedChain, RecordedDecision } from './steps.ts';
import { ReplayWorld } from './world.ts';

/** Where a replay came away from the recording. */
export interface ReplayDifference {
  readonly stream: string;
  /** `breaker:broker`, `stops:default`, `limits:default` or `gate`. */
  readonly layer: string;
  /** The recorded decision, or the newest record before where the replay decided more than was recorded. */
  readonly record_id: string;
  readonly sequence: number;
  readonly time: string;
  /** The event, and the attribute that differs; '' where a whole decision is missing or too many. */
  readonly event: string;
  readonly attribute: string;
  /** As recorded; null for nothing. */
  readonly expected: unknown;
  /** As replayed. */
  readonly got: unknown;
}

/** What a check came to. */
export interface ReplayCheck {
  readonly ok: boolean;
  /** Decisions that were made again. */
  readonly decisions: number;
  /** By layer. */
  readonly layers: Readonly<Record<string, number>>;
  /** Snapshots that were held against the state that the replay had come to. */
  readonly inputs: number;
  /** Decisions of which the trail does not hold the input: taken over. */
  readonly taken_over: number;
  readonly record_inputs: 'changes' | 'all' | 'mixed';
  /** The first of each layer, in the order of the trail. */
  readonly differences: readonly ReplayDifference[];
}

/** Attributes that the running service adds around a layer's own, or that older trails do not have. */
const AROUND: ReadonlySet<string> = new Set([
  'risk.cause.record_id',
  'risk.cause.event',
  'risk.component',
  'risk.input',
  'risk.limit.at_ms',
  'risk.rule.mode',
  'risk.schema.version',
  CONTEXT_ASSUMED,
  'risk.trailing_stop.bar_path',
  'risk.trailing_stop.bar_point',
]);
/** What a masked text looks like, as far as it can be told. */
const MASKED = '***MASKED***';

/** @returns the attribute that differs; undefined where all are the same */
function differingAttribute(
  expected: CatalogEvent['attributes'],
  recorded: Readonly<Record<string, unknown>>,
  recordInputs: 'changes' | 'all' = 'all',
): string | undefined {
  for (const [name, value] of Object.entries(expected)) {
    if (value === undefined) continue;
    const other = recorded[name];
    if (value === other) continue;
    if (other === undefined && AROUND.has(name)) continue;
    // The stamps of prices that moved nothing are not recorded, yet the stop has seen them.
    if (recordInputs === 'changes' && name.startsWith('trading.price.')) continue;
    if (typeof other === 'string' && other.includes(MASKED)) continue;
    if (differences(value, other).length > 0) return name;
  }
  for (const name in recorded) {
    if (name.startsWith('risk.') && !AROUND.has(name) && !Object.hasOwn(expected, name)) return name;
  }
  return undefined;
}

/** Replays the chains as they were recorded. */
export function checkChains(chains: readonly RecordedChain[]): ReplayCheck {
  const found: ReplayDifference[] = [];
  const layers: Record<string, number> = {};
  let inputs = 0;
  let takenOver = 0;
  for (const chain of chains) {
    const one = new Comparison(chain);
    inputs += chain.steps.length;
    takenOver += chain.takenOver;
    found.push(...one.run());
    for (const [layer, count] of one.compared) layers[layer] = (layers[layer] ?? 0) + count;
  }
  const kinds = new Set(chains.map(({ recordInputs }) => recordInputs));
  return {
    ok: found.length === 0,
    decisions: Object.values(layers).reduce((sum, count) => sum + count, 0),
    layers,
    inputs,
    taken_over: takenOver,
    record_inputs: kinds.size > 1 ? 'mixed' : ([...kinds][0] ?? 'changes'),
    differences: found,
  };
}

class Comparison {
  readonly #chain: RecordedChain;
  readonly #next = new Map<LayerKey, number>();
  readonly #found = new Map<LayerKey, ReplayDifference>();
  readonly compared = new Map<LayerKey, number>();
  #made = 0;
  #last: Place | undefined;

  constructor(chain: RecordedChain) {
    this.#chain = chain;
  }

  run(): readonly ReplayDifference[] {
    const world = new ReplayWorld({
      chain: this.#chain,
      changes: NO_CHANGES,
      emit: (layer, event) => this.#take(layer, event),
      watch: {
        snapshot: (place, layer, [first]) => {
          const { path, before, after } = first!;
          this.#note(layer, place, 'snapshot', path, after, before);
        },
      },
    });
    world.run();
    for (const [layer, list] of this.#chain.decisions) {
      const missing = list[this.#next.get(layer) ?? 0];
      if (missing !== undefined) this.#note(layer, missing.place, missing.name, '', missing.name, null);
    }
    return [...this.#found.values()].sort((a, b) =>
      a.time < b.time ? -1 : a.time > b.time ? 1 : a.sequence - b.sequence,
    );
  }

  #take(layer: LayerKey, event: CatalogEvent): string {
    const made = `replayed-${++this.#made}`;
    // An input that was unusable is taken over: what was wrong with it is not in the trail.
    if (event.name.endsWith('.invalid_input')) return made;
    const at = this.#next.get(layer) ?? 0;
    const recorded: RecordedDecision | undefined = this.#chain.decisions.get(layer)?.[at];
    this.#next.set(layer, at + 1);
    if (recorded === undefined) {
      const place = this.#last ?? { recordId: '', sequence: -1, timeMs: this.#chain.firstMs, link: undefined };
      this.#note(layer, place, event.name, '', null, event.name);
      return made;
    }
    this.#last = recorded.place;
    if (!this.#found.has(layer)) {
      this.compared.set(layer, (this.compared.get(layer) ?? 0) + 1);
      const { name, attributes, place } = recorded;
      if (name !== event.name) this.#note(layer, place, name, '', name, event.name);
      else {
        const attribute = differingAttribute(event.attributes, attributes, this.#chain.recordInputs);
        if (attribute !== undefined) {
          const got = (event.attributes as Readonly<Record<string, unknown>>)[attribute];
          this.#note(layer, place, name, attribute, attributes[attribute], got);
        }
      }
    }
    return recorded.place.recordId;
  }

  /** What comes after a layer's first difference follows from it. */
  #note(layer: LayerKey, place: Place, event: string, attribute: string, expected: unknown, got: unknown): void {
    if (this.#found.has(layer)) return;
    this.#found.set(layer, {
      ...{ stream: this.#chain.stream, layer, record_id: place.recordId, sequence: place.sequence },
      time: new Date(place.timeMs).toISOString(),
      ...{ event, attribute, expected: expected ?? null, got: got ?? null },
    });
  }
}
