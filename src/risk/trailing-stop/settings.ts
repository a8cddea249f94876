/** Options of trailing stops: what a set of stops is told at construction, and what a single stop overrides. */
import { RiskTrailError } from '../../core/errors.ts';
import { type CheckMap, number, oneOf, readOptions, string } from '../../core/options.ts';
import { MAX_PRICE } from './price.ts';

/** How a stop behaves. JSON-serialisable: it is part of the stop's state and of its `add` event. */
export interface TrailingStopSettings {
  /** Distance of the stop from the best price, in percent of the best price, above 0, at most 100. */
  readonly trailingPct?: number;
  /** Distance of the stop from the best price, as a price. */
  readonly trailingPrice?: number;
  /** Distance of the stop from the best price, in ticks of {@link tickSize}. */
  readonly trailingTicks?: number;
  /** Smallest price step of the instrument; needed with {@link trailingTicks}. */
  readonly tickSize?: number;
  /** Move in favour of the position, in percent of the entry price, from which the stop trails. 0: at once. @default 2 */
  readonly activationPct?: number;
  /** The same as a price distance from entry; takes the place of {@link activationPct}. */
  readonly activationDistance?: number;
  /** Fixed stop before and after activation, in percent of the entry price against the position. */
  readonly hardStopPct?: number;
  /** The same as a price level (not a distance); takes the place of {@link hardStopPct}. */
  readonly hardStopPrice?: number;
  /** `touch`: fires at the level. `through`: fires only beyond it. @default 'touch' */
  readonly fires: 'touch' | 'through';
  /** The level ratchets only by this much or more, as a price. @default 0 */
  readonly minimumStep: number;
  /** What price the caller feeds: last, mid, mark, close …; recorded with each event. */
  readonly priceSource?: string;
}

/** Options of a set of stops. Exactly one of `trailingPct`, `trailingPrice` and `trailingTicks` must be given. */
export interface TrailingStopsOptions extends Partial<TrailingStopSettings> {
  /** Name of the set, where a service has several: says which restored stops are its own. @default 'default' */
  readonly name?: string;
  /** `REDUCING`: a triggered stop lets only what reduces risk pass for its symbol, until it is removed, flipped or added again. @default 'none' */
  readonly onTrigger?: 'none' | 'REDUCING';
}

/** What a stop, or a flip, may set differently from its set. */
export type TrailingStopOverrides = Partial<TrailingStopSettings>;

export const DEFAULT_TRAILING_STOPS_OPTIONS = {
  name: 'default',
  onTrigger: 'none',
  activationPct: 2,
  fires: 'touch',
  minimumStep: 0,
} as const satisfies TrailingStopsOptions;

const distance = () => number({ above: 0, max: MAX_PRICE });

const SETTING_CHECKS: CheckMap<TrailingStopSettings> = {
  trailingPct: number({ above: 0, max: 100 }),
  trailingPrice: distance(),
  trailingTicks: distance(),
  tickSize: distance(),
  activationPct: number({ min: 0 }),
  activationDistance: number({ min: 0, max: MAX_PRICE }),
  hardStopPct: number({ above: 0, max: 100 }),
  hardStopPrice: distance(),
  fires: oneOf(['touch', 'through']),
  minimumStep: number({ min: 0, max: MAX_PRICE }),
  priceSource: string(),
};

const OPTION_CHECKS: CheckMap<TrailingStopsOptions> = {
  ...SETTING_CHECKS,
  name: string(),
  onTrigger: oneOf(['none', 'REDUCING']),
};

/** Names of all settings. */
export const SETTING_NAMES = Object.keys(SETTING_CHECKS) as readonly (keyof TrailingStopSettings)[];

/** Settings that say the same thing in different units: at most one of each row holds. */
const ALTERNATIVES = [
  ['trailingPct', 'trailingPrice', 'trailingTicks'],
  ['activationPct', 'activationDistance'],
  ['hardStopPct', 'hardStopPrice'],
] as const;

/**
 * Reads the options of a set of stops.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function readTrailingStopsOptions(input: unknown): {
  readonly name: string;
  readonly onTrigger: 'none' | 'REDUCING';
  readonly settings: TrailingStopSettings;
} {
  const owner = 'trailingStops';
  const { activationPct, ...defaults } = DEFAULT_TRAILING_STOPS_OPTIONS;
  const given = readOptions<TrailingStopsOptions>(owner, input, OPTION_CHECKS, defaults, SETTING_NAMES);
  const { name, onTrigger, ...own } = given;
  checkAlternatives(owner, own);
  const settings = overrideSettings({ ...NO_SETTINGS, activationPct }, own);
  checkComplete(owner, settings);
  return { name: name!, onTrigger: onTrigger!, settings };
}

const NO_SETTINGS = { fires: 'touch', minimumStep: 0 } as const;

/**
 * The settings of one stop: those of its set, with the given ones in place of those that say the same in another unit.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function resolveSettings(owner: string, base: TrailingStopSettings, input: unknown): TrailingStopSettings {
  const own = readOptions<TrailingStopOverrides>(owner, input, SETTING_CHECKS, {}, SETTING_NAMES);
  if (Object.keys(own).length === 0) return base;
  checkAlternatives(owner, own);
  const settings = overrideSettings(base, own);
  checkComplete(owner, settings);
  return settings;
}

function overrideSettings(base: TrailingStopSettings, own: TrailingStopOverrides): TrailingStopSettings {
  const result: Record<string, unknown> = { ...base };
  for (const row of ALTERNATIVES) {
    if (row.some((name) => own[name] !== undefined)) for (const name of row) delete result[name];
  }
  return Object.freeze(Object.assign(result, own)) as unknown as TrailingStopSettings;
}

function checkAlternatives(owner: string, own: TrailingStopOverrides): void {
  for (const row of ALTERNATIVES) {
    const given = row.filter((name) => own[name] !== undefined);
    if (given.length > 1) {
      throw new RiskTrailError('OPTION_INVALID', {
        field: `${owner}.${given[1]}`,
        expected: `to be absent beside ${given[0]} (they say the same in different units)`,
        received: own[given[1]!]!,
      });
    }
  }
}

function checkComplete(owner: string, settings: TrailingStopSettings): void {
  if (ALTERNATIVES[0].every((name) => settings[name] === undefined)) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: `${owner}.trailingPct`,
      expected: 'one of trailingPct, trailingPrice and trailingTicks',
      received: 'nothing',
    });
  }
  if (settings.trailingTicks !== undefined && settings.tickSize === undefined) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: `${owner}.tickSize`,
      expected: 'a finite number > 0 beside trailingTicks',
      received: 'nothing',
    });
  }
}
