/** The parameters of the risk layers by name: what `--set breaker.broker.failureThreshold=3` means, and what it changes. */
import { isRiskTrailError, RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { withoutNulls } from '../../core/without-nulls.ts';
import { type BreakerConfig, optionsOf, readBreakerOptions } from '../../risk/circuit-breaker/options.ts';
import { LIMIT_NAMES, type PortfolioLimitsOptions, readLimitsOptions } from '../../risk/portfolio-limits/options.ts';
import { readTrailingStopsOptions, type TrailingStopOverrides } from '../../risk/trailing-stop.ts';
import type { RecordedChain } from './steps.ts';

/** A parameter's value; null takes it away. */
export type ParameterValue = number | string | boolean | null;

/** Parameters by their names. */
export type ParameterValues = Readonly<Record<string, ParameterValue>>;

/** Values within options: `{ dailyLoss: { max: 5000 } }`. */
type Tree = { [key: string]: ParameterValue | Tree };

/** What is changed, by layer. */
export interface Changes {
  readonly breakers: ReadonlyMap<string, Tree>;
  readonly stops: ReadonlyMap<string, { readonly overrides: TrailingStopOverrides; readonly onTrigger?: string }>;
  readonly limits: ReadonlyMap<string, Tree>;
}

export const NO_CHANGES: Changes = { breakers: new Map(), stops: new Map(), limits: new Map() };

/** Of a circuit breaker, below `breaker.<name>.` */
export const BREAKER_PARAMETERS = [
  'windowMs',
  'windowCalls',
  'minimumCalls',
  'failureThreshold',
  'failureRate',
  'consecutiveFailures',
  'slowCallMs',
  'slowCallRate',
  'cooldownMs',
  'halfOpen.maxProbes',
  'halfOpen.successesToClose',
  'halfOpen.probeTimeoutMs',
  'latched',
  'scope',
  'onOpen',
  'stopLossCount.count',
  'stopLossCount.windowMs',
  'drawdown.maxRatio',
  'dailyLoss.max',
  'dailyLoss.timeZone',
  'dailyLoss.resetAt',
  'losingStreak.count',
  'unlockAt.time',
  'unlockAt.timeZone',
] as const;

/** Of trailing stops, below `stops.` */
export const STOP_PARAMETERS = [
  'trailingPct',
  'trailingPrice',
  'trailingTicks',
  'tickSize',
  'activationPct',
  'activationDistance',
  'hardStopPct',
  'hardStopPrice',
  'fires',
  'minimumStep',
  'onTrigger',
] as const;

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  totalExposure: ['max', 'maxPercent', 'warnAt', 'mode'],
  margin: ['max', 'warnAt', 'mode', 'rate'],
  dailyLoss: ['max', 'warnAt', 'mode', 'timeZone', 'resetTime', 'onBreach'],
  drawdown: ['max', 'warnAt', 'mode', 'onBreach'],
  messageRate: ['max', 'warnAt', 'mode', 'windowMs'],
  orderRate: ['max', 'warnAt', 'mode', 'windowMs'],
  repeatedOrder: ['max', 'warnAt', 'mode', 'windowMs'],
  duplicateOrder: ['windowMs', 'mode'],
};

/** Of portfolio limits, below `limits.` */
export const LIMIT_PARAMETERS: readonly string[] = [
  ...LIMIT_NAMES.flatMap((name) => (MEMBERS[name] ?? ['max', 'warnAt', 'mode']).map((member) => `${name}.${member}`)),
  'heat.max',
  'heat.warnAt',
  'maxPriceAgeMs',
  'quantityStep',
  'missingGreeks',
];

/** Settings that say the same in another way: one takes the others' place. */
const INSTEAD: Readonly<Record<string, readonly string[]>> = {
  windowMs: ['windowCalls'],
  windowCalls: ['windowMs', 'minimumCalls'],
};

/** A value as it is written: a number, `true`, `false`, `none` for nothing, else text. */
function parseValue(text: string): ParameterValue {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'none' || text === 'null') return null;
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

/**
 * `name=value` pairs, as the command line gives them.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseSettings(pairs: readonly string[]): ParameterValues {
  const values: Record<string, ParameterValue> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0 || equals === pair.length - 1) {
      throw new RiskTrailError('OPTION_INVALID', {
        field: '--set',
        expected: 'parameter=value, such as breaker.broker.failureThreshold=3',
        received: JSON.stringify(pair),
      });
    }
    values[pair.slice(0, equals).trim()] = parseValue(pair.slice(equals + 1).trim());
  }
  return values;
}

/**
 * Sorts values by layer.
 * @throws RiskTrailError REPLAY_PARAMETER_UNKNOWN
 */
export function readChanges(values: ParameterValues, chains: readonly RecordedChain[]): Changes {
  const breakers = new Map<string, Tree>();
  const stops = new Map<string, { overrides: Tree; onTrigger?: string }>();
  const limits = new Map<string, Tree>();
  for (const [name, value] of Object.entries(values)) {
    const { layer, owner, path } = placeOf(name, chains);
    if (layer === 'breaker') put(treeOf(breakers, owner), path, value);
    else if (layer === 'limits') put(treeOf(limits, owner), path, value);
    else {
      let entry = stops.get(owner);
      if (entry === undefined) {
        entry = { overrides: {} };
        stops.set(owner, entry);
      }
      if (path === 'onTrigger') entry.onTrigger = String(value ?? 'none');
      else entry.overrides[path] = value;
    }
  }
  for (const { overrides, onTrigger } of stops.values()) checkStops(overrides, onTrigger);
  return { breakers, limits, stops: stops as Changes['stops'] };
}

interface ParameterPlace {
  readonly layer: 'breaker' | 'stops' | 'limits';
  readonly owner: string;
  readonly path: string;
}

const namesOf = (chains: readonly RecordedChain[], of: 'breakers' | 'stopSets' | 'limitSets'): readonly string[] => [
  ...new Set(chains.flatMap((chain) => chain[of])),
];

/** Which parameters there are, for the layers of a trail. */
function knownParameters(chains: readonly RecordedChain[]): readonly string[] {
  const sets = (layer: string, names: readonly string[], parameters: readonly string[]) =>
    names.flatMap((name) => parameters.map((one) => `${layer}${name === 'default' ? '' : `.${name}`}.${one}`));
  return [
    ...namesOf(chains, 'breakers').flatMap((name) => BREAKER_PARAMETERS.map((one) => `breaker.${name}.${one}`)),
    ...sets('stops', namesOf(chains, 'stopSets'), STOP_PARAMETERS),
    ...sets('limits', namesOf(chains, 'limitSets'), LIMIT_PARAMETERS),
  ];
}

function placeOf(name: string, chains: readonly RecordedChain[]): ParameterPlace {
  const dot = name.indexOf('.');
  const layer = dot < 0 ? name : name.slice(0, dot);
  const rest = dot < 0 ? '' : name.slice(dot + 1);
  if (layer === 'breaker') {
    const names = namesOf(chains, 'breakers');
    const owner = [...names].sort((a, b) => b.length - a.length).find((one) => rest.startsWith(`${one}.`));
    if (owner === undefined)
      throw unknown(
        name,
        chains,
        names.map((one) => `breaker.${one}.…`),
      );
    const path = rest.slice(owner.length + 1);
    if (isKnown(path, BREAKER_PARAMETERS)) return { layer, owner, path };
    throw unknown(
      name,
      chains,
      BREAKER_PARAMETERS.map((one) => `breaker.${owner}.${one}`),
    );
  }
  if (layer === 'stops' || layer === 'limits') {
    const names = namesOf(chains, layer === 'stops' ? 'stopSets' : 'limitSets');
    const parameters: readonly string[] = layer === 'stops' ? STOP_PARAMETERS : LIMIT_PARAMETERS;
    const owner = names.find((one) => rest.startsWith(`${one}.`) && isKnown(rest.slice(one.length + 1), parameters));
    if (owner !== undefined) return { layer, owner, path: rest.slice(owner.length + 1) };
    // Without a name: of the only set there is, or of the one without a name.
    const only = names.includes('default') ? 'default' : names.length === 1 ? names[0] : undefined;
    if (isKnown(rest, parameters) && only !== undefined) return { layer, owner: only, path: rest };
    throw unknown(name, chains, names.length === 0 ? [] : parameters.map((one) => `${layer}.${one}`));
  }
  throw unknown(name, chains, ['breaker.<name>.…', 'stops.…', 'limits.…']);
}

/** A parameter, or a whole limit or trigger, which can be taken away. */
const isKnown = (path: string, parameters: readonly string[]): boolean =>
  parameters.includes(path) || parameters.some((one) => one.startsWith(`${path}.`));

function unknown(name: string, chains: readonly RecordedChain[], known: readonly string[]): RiskTrailError {
  return new RiskTrailError('REPLAY_PARAMETER_UNKNOWN', {
    parameter: name,
    hint: nearest(name, knownParameters(chains)),
    known: known.length === 0 ? 'none: the trail holds no such layer' : known.join(', '),
  });
}

function treeOf(map: Map<string, Tree>, owner: string): Tree {
  let tree = map.get(owner);
  if (tree === undefined) {
    tree = {};
    map.set(owner, tree);
  }
  return tree;
}

function put(tree: Tree, path: string, value: ParameterValue): void {
  const parts = path.split('.');
  let at = tree;
  for (const part of parts.slice(0, -1)) {
    const next = at[part];
    at = at[part] = typeof next === 'object' && next !== null ? next : {};
  }
  at[parts.at(-1)!] = value;
}

function merged(options: object, changes: Tree): Record<string, unknown> {
  const result: Record<string, unknown> = { ...options };
  for (const [key, value] of Object.entries(changes)) {
    for (const other of INSTEAD[key] ?? []) if (value !== null && !Object.hasOwn(changes, other)) delete result[other];
    if (value === null) delete result[key];
    else if (typeof value === 'object') result[key] = merged((result[key] as object | undefined) ?? {}, value);
    else result[key] = value;
  }
  return result;
}

/**
 * The settings of a breaker with what is changed of them.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function changedBreaker(name: string, config: BreakerConfig, changes: Changes): BreakerConfig {
  const tree = changes.breakers.get(name);
  if (tree === undefined) return config;
  return readBreakerOptions(`breaker.${name}`, merged(optionsOf(config), tree)).config;
}

/**
 * The options of a set of limits with what is changed of them.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function changedLimits(
  set: string,
  config: Readonly<PortfolioLimitsOptions>,
  changes: Changes,
): Readonly<PortfolioLimitsOptions> {
  const tree = changes.limits.get(set);
  if (tree === undefined) return config;
  return readLimitsOptions(
    merged(config, tree) as PortfolioLimitsOptions,
    set === 'default' ? 'limits' : `limits.${set}`,
  );
}

/** Refuses values that no stop takes. */
function checkStops(overrides: Tree, onTrigger: string | undefined): void {
  const given: Record<string, unknown> = {
    ...withoutNulls(overrides),
    ...(onTrigger === undefined ? {} : { onTrigger }),
  };
  const distance = ['trailingPct', 'trailingPrice', 'trailingTicks'].some((name) => given[name] !== undefined);
  // A stop's ticks have their size by its own settings.
  const whole: Record<string, unknown> = { ...given, ...(distance ? {} : { trailingPct: 1 }) };
  const sized =
    whole['trailingTicks'] === undefined || whole['tickSize'] !== undefined ? whole : { ...whole, tickSize: 1 };
  try {
    readTrailingStopsOptions(sized);
  } catch (error) {
    if (!isRiskTrailError(error)) throw error;
    const { field, expected, received } = error.details;
    throw new RiskTrailError('OPTION_INVALID', {
      field: String(field).replace(/^trailingStops\b/, 'stops'),
      expected: String(expected ?? 'another value'),
      received: String(received ?? 'nothing'),
    });
  }
}

/** One axis of a sweep. */
export interface SweepAxis {
  readonly parameter: string;
  readonly values: readonly ParameterValue[];
}

const MAX_VALUES = 10_000;

/**
 * `stops.activationPct=1..4/0.5` (from, to, step) or `breaker.broker.failureThreshold=2,3,5`.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseSweep(text: string): SweepAxis {
  const invalid = (received: string) =>
    new RiskTrailError('OPTION_INVALID', {
      field: '--sweep',
      expected: `parameter=from..to/step or parameter=a,b,c, of at most ${MAX_VALUES} values`,
      received: JSON.stringify(received),
    });
  const equals = text.indexOf('=');
  if (equals <= 0) throw invalid(text);
  const parameter = text.slice(0, equals).trim();
  const wanted = text.slice(equals + 1).trim();
  const range = /^(-?[\d.]+)\.\.(-?[\d.]+)\/([\d.]+)$/.exec(wanted);
  if (range === null) {
    const values = wanted.split(',').map((one) => parseValue(one.trim()));
    if (wanted === '' || values.includes('') || wanted.includes('..')) throw invalid(text);
    return { parameter, values };
  }
  const [from, to, step] = range.slice(1).map(Number) as [number, number, number];
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (!(step > 0) || !(to >= from) || !(count <= MAX_VALUES)) throw invalid(text);
  // As a person would write it: 1.2, not 1.2000000000000002.
  return { parameter, values: Array.from({ length: count }, (_, at) => Number((from + at * step).toPrecision(12))) };
}
