import type { Described } from './dashboard.ts';
import { linkTo } from './links.ts';
import {
  count,
  countOver,
  ENFORCED,
  isIn,
  NO_GATE,
  newest,
  number,
  records,
  STATE_WINDOW,
  STEP,
  withScope,
} from './logql.ts';
import {
  BREAKER_STATES,
  FEW_ARE_GOOD,
  NONE_IS_GOOD,
  TRADING_STATES,
  thresholds,
  UTILISATION,
  VERDICT_BREAKER,
  VERDICT_SILENT,
  VERDICTS,
} from './look.ts';
import { alerts, gauges, lines, stat, timeline } from './panels.ts';

const GATE = {
  events: [
    'risk.trading_state_change',
    'risk.trading_state_snapshot',
    'risk.trading_state_scope_snapshot',
    'risk.trading_state_restored',
  ],
} as const;
const BREAKERS = { events: ['risk.circuit_breaker.state_change', 'risk.circuit_breaker.snapshot'] } as const;
const LIMITS = {
  events: ['risk.portfolio_limit.check', 'risk.portfolio_limit.warning', 'risk.portfolio_limit.snapshot'],
  where: [NO_GATE],
} as const;
const REFUSED = {
  events: ['risk.rejection', 'risk.portfolio_limit.rejection', 'risk.circuit_breaker.not_permitted'],
  where: [ENFORCED],
} as const;
const TROUBLE = {
  events: ['audit.degraded', 'audit.record_rejected', 'audit.finding', 'audit.recovered'],
} as const;
const LIFE = { events: ['audit.health', 'system.health_check'] } as const;
const TODAY = 'now/d';

const SERVICE = ['service_name'] as const;
const GATE_NOW = withScope(
  number('last', GATE, 'risk.trading_state.code', STATE_WINDOW, ['service_name', 'risk.scope']),
);
const BREAKERS_NOW = number('last', BREAKERS, 'risk.circuit_breaker.state.code', STATE_WINDOW, [
  'service_name',
  'risk.circuit_breaker.name',
]);
const LAST_LIFE = newest(LIFE, STATE_WINDOW, SERVICE);
/** Services that were stopped in order, and not started since: what they told last holds no longer. */
const STOPPED = `(${newest({ events: ['system.stop'] }, STATE_WINDOW, SERVICE)} >= ${LAST_LIFE})`;
const SILENT = `${LAST_LIFE} unless on (service_name) ${countOver(LIFE, '3m', SERVICE)} unless on (service_name) ${STOPPED}`;
const anyOf = (query: string) => `((count(${query}) or vector(0)) > bool 0)`;
/** The worst gate's code, and what `VERDICTS` tells apart besides; nothing where no running service has a gate. */
const VERDICT = [
  `max(${GATE_NOW} unless on (service_name) ${STOPPED})`,
  `${VERDICT_BREAKER} * ${anyOf(`(${BREAKERS_NOW}) > 0 unless on (service_name) ${STOPPED}`)}`,
  `${VERDICT_SILENT} * ${anyOf(SILENT)}`,
].join(' + ');

export const SAFE_TO_TRADE: Described = {
  slug: 'safe-to-trade',
  title: 'Safe to trade?',
  description: 'Whether trading is allowed now, what stands in its way, and whether the trail that says so is sound.',
  scopes: [],
  from: 'now-1h',
  refresh: '30s',
  panels: [
    stat({
      title: 'Is trading safe now?',
      description:
        'The worst of every service’s gate as last told: SAFE where all are ACTIVE and every breaker is CLOSED. Grey is not knowing: no gate was told in 24 hours, or a service that was not stopped in order has given no sign of life for 3 minutes.',
      empty: 'NOT KNOWN: NO SERVICE TELLS',
      width: 12,
      height: 5,
      unit: 'none',
      mappings: VERDICTS,
      series: [{ query: VERDICT }],
      links: [{ title: 'What happened', url: linkTo('incident') }],
    }),
    stat({
      title: 'Halts today',
      description: 'How often trading was halted since midnight of your time zone, by scope.',
      empty: 'None today',
      width: 4,
      height: 5,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      nothing: 'good',
      only: TODAY,
      series: [
        {
          query: count({ events: ['risk.trading_state_change'], where: [isIn('risk.trading_state.new', 'HALTED')] }, [
            'risk.scope',
          ]),
          name: '{{risk_scope}}',
        },
      ],
      links: [{ title: 'What happened', url: linkTo('incident') }],
    }),
    stat({
      title: 'Trips today',
      description: 'How often a circuit breaker opened since midnight of your time zone.',
      empty: 'None today',
      width: 4,
      height: 5,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      only: TODAY,
      series: [
        {
          query: count(
            {
              events: ['risk.circuit_breaker.state_change'],
              where: [isIn('risk.circuit_breaker.state.new', 'OPEN', 'FORCED_OPEN')],
            },
            ['risk.circuit_breaker.name'],
          ),
          name: '{{risk_circuit_breaker_name}}',
        },
      ],
      links: [{ title: 'Circuit breakers', url: linkTo('circuit-breakers') }],
    }),
    stat({
      title: 'Last sign of life',
      description:
        'When each service last told how it is, within 24 hours. Services tell it every minute unless they are set otherwise; more than three minutes are worth a look.',
      empty: 'No service gave a sign of life in 24 hours',
      width: 4,
      height: 5,
      unit: 'dateTimeFromNow',
      series: [
        {
          query: LAST_LIFE,
          name: '{{service_name}}',
        },
      ],
      links: [{ title: 'Audit trail', url: linkTo('audit-trail') }],
    }),
    stat({
      title: 'Is trading allowed?',
      description:
        'The trading gate of each service and scope as last told: ACTIVE lets every order pass, REDUCING only exits, HALTED only exits. Read from changes and the snapshots between them of the last 24 hours.',
      empty: 'No service told its state in 24 hours',
      width: 8,
      height: 7,
      unit: 'none',
      mappings: TRADING_STATES,
      thresholds: thresholds('good', [1, 'warning'], [2, 'bad']),
      series: [
        {
          query: GATE_NOW,
          name: '{{service_name}} {{risk_scope}}',
        },
      ],
      links: [{ title: 'What happened', url: linkTo('incident') }],
    }),
    stat({
      title: 'Which breakers let calls through?',
      description:
        'Every circuit breaker’s state as last told within 24 hours. CLOSED is as it should be; OPEN and FORCED_OPEN refuse entries; HALF_OPEN probes; DISABLED guards nothing.',
      empty: 'No breaker told its state in 24 hours',
      width: 8,
      height: 7,
      unit: 'none',
      mappings: BREAKER_STATES,
      thresholds: thresholds('good', [1, 'bad'], [2, 'warning'], [3, 'unguarded'], [4, 'forced']),
      series: [
        {
          query: BREAKERS_NOW,
          name: '{{service_name}} {{risk_circuit_breaker_name}}',
        },
      ],
      links: [
        {
          title: 'This breaker',
          // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
          url: linkTo('circuit-breakers', 'var-breaker=${__data.fields.risk_circuit_breaker_name}'),
        },
      ],
    }),
    gauges({
      title: 'How near are the limits?',
      description:
        'For each limit, how full it was at the last check of an order that it bound most, within 24 hours; that of the very last check however long ago, as the limits tell it again every minute. 80 % is the usual soft line, at 100 % an order is denied.',
      empty: 'No order was checked since the services started',
      width: 8,
      height: 7,
      unit: 'percentunit',
      max: 1,
      thresholds: UTILISATION,
      series: [
        {
          query: number('last', LIMITS, 'risk.limit.utilization', STATE_WINDOW, ['service_name', 'risk.limit.type']),
          name: '{{risk_limit_type}} {{service_name}}',
        },
      ],
      links: [{ title: 'Limits', url: linkTo('limits') }],
    }),
    stat({
      title: 'Orders refused today',
      description: 'What the risk layers refused since midnight of your time zone: validation, limits, breakers.',
      empty: 'None today',
      width: 8,
      height: 4,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      only: TODAY,
      series: [
        {
          query: count(REFUSED, ['event_name']),
          name: '{{event_name}}',
          kinds: REFUSED.events,
        },
      ],
      links: [{ title: 'Limits', url: linkTo('limits') }],
    }),
    stat({
      title: 'Orders with an unknown outcome today',
      description: 'Orders to which no answer came since midnight: each may have been executed. Ask the venue.',
      empty: 'None today',
      width: 8,
      height: 4,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      nothing: 'good',
      only: TODAY,
      series: [{ query: count({ events: ['order.outcome_unknown'] }, ['trading.symbol']), name: '{{trading_symbol}}' }],
      links: [{ title: 'Orders and API', url: linkTo('orders-and-api') }],
    }),
    stat({
      title: 'Trouble of the audit trail today',
      description:
        'Records that could not be written or were refused, findings of a running verification, and recoveries after an unclean end, since midnight.',
      empty: 'None today',
      width: 8,
      height: 4,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      nothing: 'good',
      only: TODAY,
      series: [
        {
          query: count(TROUBLE, ['event_name']),
          name: '{{event_name}}',
          kinds: TROUBLE.events,
        },
      ],
      links: [{ title: 'Audit trail', url: linkTo('audit-trail') }],
    }),
    timeline({
      title: 'When was trading allowed?',
      description: 'The trading gate over time. A state holds until the next is told; lines mark halts and trips.',
      empty: 'No state was told in this time',
      width: 12,
      unit: 'none',
      mappings: TRADING_STATES,
      thresholds: thresholds('good', [1, 'warning'], [2, 'bad']),
      series: [
        {
          query: withScope(number('max', GATE, 'risk.trading_state.code', STEP, ['service_name', 'risk.scope'])),
          name: '{{service_name}} {{risk_scope}}',
        },
      ],
    }),
    alerts({
      title: 'What fires now?',
      description:
        'The alert rules that fire, are about to, or cannot be evaluated. Each leads to its dashboard and its runbook.',
      empty: 'Nothing fires',
      width: 12,
    }),
    lines({
      title: 'What stopped or bent trading?',
      description:
        'Halts and resumes, breakers, limits reached, the kill switch, orders of unknown outcome: newest first. Open a line for all it carries and its trace.',
      empty: 'Nothing of the kind in this time',
      width: 24,
      height: 10,
      query: records({
        events: [
          'risk.trading_state_change',
          'risk.circuit_breaker.state_change',
          'risk.limit_hit',
          'risk.daily_loss_limit',
          'risk.kill_switch',
          'enforcement.action',
          'order.outcome_unknown',
        ],
      }),
    }),
  ],
};
