/** Colours, thresholds and words for states: what means the same looks the same on every dashboard. */
import {
  MappingType,
  SpecialValueMatch,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { EventName } from '../../src/catalog/events.ts';

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
  /** The same, where several stand beside each other. */
  plainLight: 'super-light-blue',
  plainDark: 'dark-blue',
  plainOther: '#6ed0e0',
  /** Nobody told. */
  unknown: '#7b8087',
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

/** A panel without a value in a colour of its own: without it, it would have that of its lowest threshold. */
export const whenEmpty = (colour: Colour): ValueMapping => ({
  type: MappingType.SpecialValue,
  options: { match: SpecialValueMatch.Null, result: { color: COLOURS[colour], index: 100 } },
});

const words = (states: readonly (readonly [number | string, string, Colour])[]): ValueMapping[] => [
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

/** The same states where a record names them: of the gate and of breakers, which share no name. */
export const STATES_BY_NAME = words([
  ['ACTIVE', 'ACTIVE', 'good'],
  ['REDUCING', 'REDUCING', 'warning'],
  ['HALTED', 'HALTED', 'bad'],
  ['CLOSED', 'CLOSED', 'good'],
  ['OPEN', 'OPEN', 'bad'],
  ['HALF_OPEN', 'HALF_OPEN', 'warning'],
  ['DISABLED', 'DISABLED', 'unguarded'],
  ['FORCED_OPEN', 'FORCED_OPEN', 'forced'],
]);

/** What stops trading, in words. */
export const STOPS = words([
  ['risk.trading_state_change', 'Trading state', 'plain'],
  ['risk.circuit_breaker.state_change', 'Breaker', 'plain'],
  ['risk.kill_switch', 'Kill switch', 'bad'],
  ['order.outcome_unknown', 'Outcome unknown', 'bad'],
]);

/** What the verdict adds to the worst code of the gates where a breaker isn't closed, and where a service is silent. */
export const VERDICT_BREAKER = 10;
export const VERDICT_SILENT = 100;

const verdict = (from: number, to: number, text: string, colour: Colour, index: number): ValueMapping => ({
  type: MappingType.RangeToText,
  options: { from, to, result: { text, color: COLOURS[colour], index } },
});

/** Whether trading is safe, in a word: each weightier than the one before. */
export const VERDICTS: readonly ValueMapping[] = [
  verdict(0, 0, 'SAFE', 'good', 0),
  verdict(VERDICT_BREAKER, VERDICT_BREAKER, 'A BREAKER IS NOT CLOSED', 'warning', 1),
  ...[0, VERDICT_BREAKER].flatMap((breaker, index) => [
    verdict(breaker + 1, breaker + 1, 'REDUCING: EXITS ONLY', 'warning', 2 + index),
    verdict(breaker + 2, breaker + 2, 'HALTED: EXITS ONLY', 'bad', 4 + index),
  ]),
  verdict(VERDICT_SILENT, 2 * VERDICT_SILENT, 'NOT KNOWN: A SERVICE IS SILENT', 'unknown', 6),
];

/** Kinds of events in a person's words, for legends; with a colour where the kind is good or bad by itself. */
export const KINDS = {
  'risk.rejection': ['By validation', 'warning'],
  'risk.portfolio_limit.rejection': ['By a limit', 'warning'],
  'risk.position_size_capped': ['Size cut', 'plain'],
  'risk.portfolio_limit.warning': ['Past the soft line', 'warning'],
  'risk.limit_hit': ['Reached', 'bad'],
  'risk.portfolio_heat_warning': ['Portfolio heat', 'warning'],
  'risk.circuit_breaker.success': ['Succeeded', 'good'],
  'risk.circuit_breaker.failure': ['Failed', 'warning'],
  'risk.circuit_breaker.not_permitted': ['Refused by a breaker', 'bad'],
  'risk.circuit_breaker.exit_permitted': ['Exit let through', 'plainLight'],
  'risk.circuit_breaker.probe': ['Probe', 'plainOther'],
  'risk.circuit_breaker.late_result': ['Late result', 'warning'],
  'risk.trailing_stop.activate': ['Activated', 'good'],
  'risk.trailing_stop.update': ['Ratcheted', 'plain'],
  'risk.trailing_stop.trigger': ['Fired', 'warning'],
  'trade.stop_loss_hit': ['Stop', 'warning'],
  'trade.take_profit_hit': ['Take-profit', 'good'],
  'order.intent': ['Intended', 'plainLight'],
  'order.placed': ['Placed', 'plain'],
  'order.filled': ['Filled', 'good'],
  'order.edited': ['Edited', 'plainDark'],
  'order.rejected': ['Rejected', 'warning'],
  'order.cancelled': ['Cancelled', 'plainOther'],
  'order.outcome_unknown': ['Outcome unknown', 'bad'],
  'api.error': ['Failed', 'bad'],
  'api.retry_attempt': ['Tried again', 'warning'],
  'api.rate_limit': ['Rate limit', 'plain'],
  'audit.checkpoint': ['Checkpoints', 'plain'],
  'audit.stream_opened': ['Streams opened', 'plainLight'],
  'audit.stream_closed': ['Streams closed', 'plainDark'],
  'audit.segment_sealed': ['Segments sealed', 'plain'],
  'audit.segment_pruned': ['Segments pruned', 'plain'],
  'audit.stream_restored': ['Streams rebuilt', 'plain'],
  'audit.recovered': ['Went on after an unclean end', 'warning'],
  'audit.degraded': ['Not written as it should be', 'bad'],
  'audit.record_rejected': ['Refused by the receiver', 'bad'],
  'audit.finding': ['Finding of a verification', 'bad'],
} as const satisfies Partial<Record<EventName, readonly [words: string, colour: Colour]>>;
export type Kind = keyof typeof KINDS;

/** The words of kinds of events, for a column that names them. */
export const kindMappings = (kinds: readonly Kind[]): ValueMapping[] =>
  words(kinds.map((kind) => [kind, ...KINDS[kind]] as const));
