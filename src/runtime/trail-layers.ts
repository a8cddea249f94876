/** The layers of one trail: made once each, and gone on with as a restart left them. */
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { breakerKey, limitsKey, stopsKey } from '../risk/risk-state.ts';
import type { AccountSharing } from './account-sharing.ts';
import { type CircuitBreaker, type CircuitBreakerOptions, createCircuitBreaker } from './circuit-breaker.ts';
import type { LayerHost } from './layer-host.ts';
import { createPortfolioLimits, type PortfolioLimits, type PortfolioLimitsOptions } from './portfolio-limits.ts';
import type { RestoredLayers } from './restored-layers.ts';
import type { Settings } from './settings.ts';
import { createTrailingStops, type TrailingStops, type TrailingStopsOptions } from './trailing-stops.ts';

/** What the layers stand on. */
export interface TrailLayersParts {
  readonly settings: Settings;
  readonly host: LayerHost;
  readonly account: AccountSharing;
  /** What an earlier process left; absent where there was none. */
  readonly restored: RestoredLayers | undefined;
}

/** What a layer is given in place of the trail's own host. */
type Within = (host: LayerHost) => LayerHost;

/** A layer that has the trail's own host. */
const asIs: Within = (host) => host;

/** Name of a set of stops or limits, where the options can be read: what is wrong with them is told by their layer. */
function nameOf(options: { readonly name?: string | undefined }): string {
  return typeof options?.name === 'string' ? options.name : 'default';
}

export class TrailLayers {
  readonly #parts: TrailLayersParts;
  readonly #breakers = new Set<string>();

  constructor(parts: TrailLayersParts) {
    this.#parts = parts;
  }

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED */
  circuitBreaker(name: string, options: CircuitBreakerOptions | undefined, within = asIs): CircuitBreaker {
    if (this.#breakers.has(name)) {
      throw new RiskTrailError('OPTION_INVALID', {
        field: 'circuitBreaker(name)',
        expected: 'a name that no other breaker of this trail has',
        received: describeValue(name),
      });
    }
    const { settings, account, restored } = this.#parts;
    const from = restored?.breaker(name);
    const terms = { onConfigChange: settings.onConfigChange, ageMs: from?.ageMs };
    const breaker = account.breaker(name, options, (host, its) =>
      createCircuitBreaker(within(host), name, its, from?.snapshot, terms),
    );
    this.#breakers.add(name);
    restored?.take(breakerKey(name));
    return breaker;
  }

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  trailingStops(options: TrailingStopsOptions): TrailingStops {
    const { host, restored } = this.#parts;
    const set = nameOf(options);
    const stops = createTrailingStops(host, options, restored?.stops(set));
    restored?.take(stopsKey(set));
    return stops;
  }

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED */
  portfolioLimits(options: PortfolioLimitsOptions, within = asIs): PortfolioLimits {
    const { settings, account, restored } = this.#parts;
    const set = nameOf(options);
    const from = restored?.limits(set);
    const terms = { ...from, onConfigChange: settings.onConfigChange };
    const limits = account.limits(set, options, (host, its) =>
      createPortfolioLimits(within(host), its, from?.snapshot, terms),
    );
    restored?.take(limitsKey(set));
    return limits;
  }
}
