import type { Described } from './dashboard.ts';
import { linkTo } from './links.ts';
import { count, countByStep, isIn, number, quantile, RANGE, records, STEP, share } from './logql.ts';
import { FEW_ARE_GOOD, NONE_IS_GOOD, thresholds } from './look.ts';
import { chart, lines, stat, table } from './panels.ts';

const SCOPES = ['account', 'strategy', 'symbol'] as const;
const ORDERS = {
  events: [
    'order.intent',
    'order.placed',
    'order.filled',
    'order.edited',
    'order.rejected',
    'order.cancelled',
    'order.outcome_unknown',
  ],
  scopes: SCOPES,
} as const;
const ANSWERED = { events: ['order.placed', 'order.rejected'], scopes: SCOPES } as const;
const REJECTED = isIn('event_name', 'order.rejected');
const CALLS = { events: ['api.call'] } as const;
/** Whatever comes back from a venue may tell what is left of its rate limit. */
const ANSWERS = {
  events: [
    'api.call',
    'api.error',
    'api.rate_limit',
    'order.placed',
    'order.edited',
    'order.rejected',
    'order.cancelled',
    'order.filled',
  ],
} as const;
const TROUBLE = { events: ['api.error', 'api.retry_attempt', 'api.rate_limit'] } as const;
const RATES = thresholds('good', [0.05, 'warning'], [0.2, 'bad']);
const DELAYS = thresholds('good', [500, 'warning'], [1000, 'bad']);

export const ORDERS_AND_API: Described = {
  slug: 'orders-and-api',
  title: 'Orders and API',
  description: 'What became of every order, and how the venues’ APIs answer.',
  scopes: SCOPES,
  from: 'now-1h',
  refresh: '30s',
  panels: [
    stat({
      title: 'What became of the orders?',
      description:
        'Orders in this time: intents are written before the send, the rest is what the venue answered. A fill may come in parts, each of which counts.',
      empty: 'No order in this time',
      width: 12,
      unit: 'short',
      series: [{ query: count(ORDERS, ['event_name']), name: '{{event_name}}', kinds: ORDERS.events }],
    }),
    stat({
      title: 'Outcome unknown',
      description: 'Orders in this time to which no answer came: each may have been executed. Ask the venue.',
      empty: 'None in this time',
      width: 6,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      nothing: 'good',
      series: [
        {
          query: count({ events: ['order.outcome_unknown'], scopes: SCOPES }, ['trading.symbol']),
          name: '{{trading_symbol}}',
        },
      ],
      links: [{ title: 'What happened', url: linkTo('incident') }],
    }),
    stat({
      title: 'What share was rejected?',
      description: 'Rejected orders among those that the venue answered in this time. Above 20 % the alert fires.',
      empty: 'No order was answered in this time',
      width: 6,
      unit: 'percentunit',
      thresholds: RATES,
      series: [{ query: share(ANSWERED, REJECTED, RANGE, ['service_name']), name: '{{service_name}}' }],
    }),
    chart({
      title: 'Orders over time',
      description: 'The same events in each step.',
      empty: 'No order in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [{ query: countByStep(ORDERS, ['event_name']), name: '{{event_name}}', kinds: ORDERS.events }],
    }),
    chart({
      title: 'Rejection rate over time',
      description: 'Rejected among answered orders of each step.',
      empty: 'No order was answered in this time',
      width: 12,
      unit: 'percentunit',
      max: 1,
      lines: true,
      thresholds: RATES,
      series: [{ query: share(ANSWERED, REJECTED, STEP, ['service_name']), name: '{{service_name}}' }],
    }),
    chart({
      title: 'How long do API calls take?',
      description: 'Half, 95 % and 99 % of the calls of a step were quicker, by venue.',
      empty: 'No call was recorded in this time',
      width: 12,
      unit: 'ms',
      as: 'joined',
      lines: true,
      thresholds: DELAYS,
      tones: [
        ['/ p50$/', 'plainLight'],
        ['/ p95$/', 'plain'],
        ['/ p99$/', 'plainDark'],
      ],
      series: [
        { query: quantile(0.5, CALLS, 'timing.duration_ms', STEP, ['trading.venue']), name: '{{trading_venue}} p50' },
        { query: quantile(0.95, CALLS, 'timing.duration_ms', STEP, ['trading.venue']), name: '{{trading_venue}} p95' },
        { query: quantile(0.99, CALLS, 'timing.duration_ms', STEP, ['trading.venue']), name: '{{trading_venue}} p99' },
      ],
    }),
    stat({
      title: 'Which calls are slow?',
      description: '95 % of the calls of this time were quicker, by operation.',
      empty: 'No call was recorded in this time',
      width: 6,
      unit: 'ms',
      thresholds: DELAYS,
      series: [{ query: quantile(0.95, CALLS, 'timing.duration_ms', RANGE, ['operation']), name: '{{operation}}' }],
    }),
    stat({
      title: 'API calls',
      description: 'Calls recorded in this time, by operation.',
      empty: 'No call was recorded in this time',
      width: 6,
      unit: 'short',
      series: [{ query: count(CALLS, ['operation']), name: '{{operation}}' }],
    }),
    chart({
      title: 'Errors, retries and rate limits over time',
      description: 'Calls that failed, were tried again, or ran into the venue’s rate limit, in each step.',
      empty: 'None in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [
        {
          query: countByStep(TROUBLE, ['event_name', 'operation']),
          name: '{{event_name}}: {{operation}}',
          kinds: TROUBLE.events,
        },
      ],
    }),
    stat({
      title: 'Which errors came?',
      description: 'Failed calls in this time, by operation and type of error.',
      empty: 'None in this time',
      width: 6,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        { query: count({ events: ['api.error'] }, ['operation', 'error.type']), name: '{{operation}} {{error_type}}' },
      ],
    }),
    stat({
      title: 'What is left of the rate limit?',
      description: 'Calls left in the venue’s period, as it last told within this time.',
      empty: 'No venue told it in this time',
      width: 6,
      unit: 'short',
      series: [
        {
          query: number('last', ANSWERS, 'api.rate_limit.remaining', RANGE, ['service_name', 'trading.venue']),
          name: '{{service_name}} {{trading_venue}}',
        },
      ],
    }),
    table({
      title: 'Slow operations',
      description:
        'Operations that took longer than their threshold, newest first. A click on the trace shows it beside its records.',
      empty: 'Nothing was slow in this time',
      width: 12,
      query: records({ events: ['performance.latency'] }),
      columns: [
        { attribute: 'service_name', heading: 'Service' },
        { attribute: 'operation', heading: 'Operation' },
        { attribute: 'timing.duration_ms', heading: 'Took', unit: 'ms', width: 100 },
        { attribute: 'timing.threshold_ms', heading: 'Threshold', unit: 'ms', width: 100 },
        { attribute: 'trace_id', heading: 'Trace', sets: 'trace', width: 290 },
      ],
    }),
    lines({
      title: 'Unknown outcomes, rejections and API errors',
      description: 'Newest first. Open a line for all it carries and its trace.',
      empty: 'None in this time',
      width: 12,
      query: records({ events: ['order.outcome_unknown', 'order.rejected', 'trade.execution_failed', 'api.error'] }),
    }),
  ],
};
