/** Colours, thresholds and words for states: what means the same looks the same on every dashboard. */
import {
  MappingType,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';

/** What a colour says. */
export const COLOURS = {
  /** As it should be. */
  good: 'green',
  /** Look at it soon: past a soft threshold, or on probation. */
  warning: 'orange',
  /** Stopped, broken or past a hard limit. */
  bad: 'red',
  /** Stopped by a person. */
  forced: 'dark-red',
  /** Nothing guards it. */
  unguarded: 'purple',
  /** A number that is neither good nor bad. */
  plain: 'blue',
} as const;
export type Colour = keyof typeof COLOURS;

/** Thresholds: the colour from the start, and those from values on. */
export function thresholds(from: Colour, ...steps: readonly (readonly [number, Colour])[]): ThresholdsConfigBuilder {
  const all: Threshold[] = [
    { value: null, color: COLOURS[from] },
    ...steps.map(([value, colour]) => ({ value, color: COLOURS[colour] })),
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(all);
}

/** A number that is neither good nor bad. */
export const PLAIN = thresholds('plain');
/** What should not be there at all. */
export const NONE_IS_GOOD = thresholds('good', [1, 'bad']);
/** What is no trouble until there is much of it. */
export const FEW_ARE_GOOD = thresholds('good', [1, 'warning']);
/** Utilisation: the limits' own soft threshold unless they are told otherwise, the alert's, and the limit. */
export const UTILISATION = thresholds('good', [0.8, 'warning'], [1, 'bad']);

const words = (states: readonly (readonly [number, string, Colour])[]): ValueMapping[] => [
  {
    type: MappingType.ValueToText,
    options: Object.fromEntries(
      states.map(([code, text, colour], index) => [String(code), { text, color: COLOURS[colour], index }]),
    ),
  },
];

/** `risk.trading_state.code` */
export const TRADING_STATES = words([
  [0, 'ACTIVE', 'good'],
  [1, 'REDUCING', 'warning'],
  [2, 'HALTED', 'bad'],
]);

/** `risk.circuit_breaker.state.code` */
export const BREAKER_STATES = words([
  [0, 'CLOSED', 'good'],
  [1, 'OPEN', 'bad'],
  [2, 'HALF_OPEN', 'warning'],
  [3, 'DISABLED', 'unguarded'],
  [4, 'FORCED_OPEN', 'forced'],
]);
