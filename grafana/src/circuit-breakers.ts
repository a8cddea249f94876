import type { Described } from './dashboard.ts';
import { count, countByStep, ENFORCED, isIn, number, RANGE, records, STATE_WINDOW, STEP, share } from './logql.ts';
import { BREAKER_STATES, FEW_ARE_GOOD, thresholds } from './look.ts';
import { chart, gauges, lines, stat, timeline } from './panels.ts';

const STATES = {
  events: ['risk.circuit_breaker.state_change', 'risk.circuit_breaker.snapshot'],
  scopes: ['breaker'],
} as const;
const COUNTED = {
  events: [
    'risk.circuit_breaker.failure',
    'risk.circuit_breaker.success',
    'risk.circuit_breaker.state_change',
    'risk.circuit_breaker.snapshot',
  ],
  scopes: ['breaker'],
} as const;
const OPENED = {
  events: ['risk.circuit_breaker.state_change'],
  where: [isIn('risk.circuit_breaker.state.new', 'OPEN', 'FORCED_OPEN')],
  scopes: ['breaker'],
} as const;
const REFUSED = {
  events: ['risk.circuit_breaker.not_permitted'],
  where: [ENFORCED],
  scopes: ['breaker'],
} as const;
const CALLS = {
  events: [
    'risk.circuit_breaker.success',
    'risk.circuit_breaker.failure',
    'risk.circuit_breaker.not_permitted',
    'risk.circuit_breaker.exit_permitted',
    'risk.circuit_breaker.probe',
    'risk.circuit_breaker.late_result',
  ],
  scopes: ['breaker'],
} as const;
const BY = ['service_name', 'risk.circuit_breaker.name'] as const;
const NAME = '{{service_name}} {{risk_circuit_breaker_name}}';
const STATE_COLOURS = thresholds('good', [1, 'bad'], [2, 'warning'], [3, 'unguarded'], [4, 'forced']);

export const CIRCUIT_BREAKERS: Described = {
  slug: 'circuit-breakers',
  title: 'Circuit breakers',
  description: 'When each breaker was open, what opened it, how near it is to opening again, and what it refused.',
  scopes: ['breaker'],
  from: 'now-1h',
  refresh: '30s',
  panels: [
    timeline({
      title: 'State of each breaker',
      description:
        'Green lets calls through, red refuses entries, orange probes, purple guards nothing. A state holds until the next is told: by the change itself, and by a snapshot every minute. Of several states within one step the one furthest from CLOSED is shown: no opening is too short to be seen.',
      empty: 'No breaker told its state in this time',
      width: 24,
      unit: 'none',
      mappings: BREAKER_STATES,
      thresholds: STATE_COLOURS,
      series: [{ query: number('max', STATES, 'risk.circuit_breaker.state.code', STEP, BY), name: NAME }],
    }),
    stat({
      title: 'State now',
      description: 'As last told within 24 hours.',
      empty: 'No breaker told its state in 24 hours',
      width: 8,
      unit: 'none',
      mappings: BREAKER_STATES,
      thresholds: STATE_COLOURS,
      series: [{ query: number('last', STATES, 'risk.circuit_breaker.state.code', STATE_WINDOW, BY), name: NAME }],
    }),
    stat({
      title: 'What opened them?',
      description: 'Trips in this time, by breaker and by the trigger that was reached first.',
      empty: 'No breaker opened in this time',
      width: 8,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        {
          query: count(OPENED, ['risk.circuit_breaker.name', 'risk.circuit_breaker.trigger']),
          name: '{{risk_circuit_breaker_name}}: {{risk_circuit_breaker_trigger}}',
        },
      ],
    }),
    gauges({
      title: 'How much of the time was each open?',
      description:
        'Share of a breaker’s snapshots in this time that found it open. Snapshots are made every minute unless the service is set otherwise: openings shorter than that may be missing; the state above and the SQL view `breakers` have them to the millisecond.',
      empty: 'No snapshot in this time',
      width: 8,
      unit: 'percentunit',
      max: 1,
      thresholds: thresholds('good', [0.000001, 'warning'], [0.5, 'bad']),
      series: [
        {
          query: share(
            { events: ['risk.circuit_breaker.snapshot'], scopes: ['breaker'] },
            isIn('risk.circuit_breaker.state.new', 'OPEN', 'FORCED_OPEN'),
            RANGE,
            BY,
          ),
          name: NAME,
        },
      ],
    }),
    chart({
      title: 'How near is each to opening?',
      description:
        'Failures within the breaker’s window, as last told in each step, and the dashed line at which it opens. Only breakers that count failures have them.',
      empty: 'No breaker counted a failure in this time',
      width: 12,
      unit: 'short',
      as: 'steps',
      limits: ['/threshold/'],
      series: [
        { query: number('last', COUNTED, 'risk.circuit_breaker.failure_count', STEP, BY), name: `${NAME} failures` },
        {
          query: number('last', COUNTED, 'risk.circuit_breaker.failure_threshold', STEP, BY),
          name: `${NAME} threshold`,
        },
      ],
    }),
    chart({
      title: 'What share of calls failed or were slow?',
      description: 'Failure rate and rate of slow calls within the breaker’s window, as last told in each step.',
      empty: 'No breaker watches rates, or none was told in this time',
      width: 12,
      unit: 'percentunit',
      as: 'steps',
      max: 1,
      series: [
        { query: number('last', COUNTED, 'risk.circuit_breaker.failure_rate', STEP, BY), name: `${NAME} failed` },
        { query: number('last', COUNTED, 'risk.circuit_breaker.slow_call_rate', STEP, BY), name: `${NAME} slow` },
      ],
    }),
    chart({
      title: 'Trips over time',
      tones: [['/.*/', 'warning']],
      description: 'How often each breaker opened, in each step.',
      empty: 'No breaker opened in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [{ query: countByStep(OPENED, BY), name: NAME }],
    }),
    chart({
      title: 'Refused calls over time',
      tones: [['/.*/', 'warning']],
      description: 'Calls that a breaker refused, by breaker and reason. Exits are never refused.',
      empty: 'No breaker refused a call in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [
        {
          query: countByStep(REFUSED, ['risk.circuit_breaker.name', 'risk.reason.code']),
          name: '{{risk_circuit_breaker_name}}: {{risk_reason_code}}',
        },
      ],
    }),
    stat({
      title: 'Calls counted',
      description: 'What the breakers counted and decided in this time.',
      empty: 'Nothing in this time',
      width: 8,
      height: 9,
      unit: 'short',
      series: [
        {
          query: count(CALLS, ['event_name']),
          name: '{{event_name}}',
          kinds: CALLS.events,
        },
      ],
    }),
    lines({
      title: 'State changes and acts of people',
      description: 'Newest first. Open a line for the whole window of the breaker at that moment, and its trace.',
      empty: 'No breaker changed its state in this time',
      width: 16,
      height: 9,
      query: records({
        events: [
          'risk.circuit_breaker.state_change',
          'risk.circuit_breaker.manual_trip',
          'risk.circuit_breaker.manual_reset',
          'risk.circuit_breaker.manual_disable',
          'risk.circuit_breaker.config_changed',
          'risk.circuit_breaker.restored',
        ],
        scopes: ['breaker'],
      }),
    }),
  ],
};
