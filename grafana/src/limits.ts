import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { CustomVariableBuilder, type VariableModel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Described } from './dashboard.ts';
import {
  computed,
  count,
  countByStep,
  ENFORCED,
  isSet,
  limitNumber,
  NO_GATE,
  number,
  records,
  STATE_WINDOW,
  STEP,
} from './logql.ts';
import { FEW_ARE_GOOD, thresholds, UTILISATION } from './look.ts';
import { chart, lines, stat } from './panels.ts';

const ORDER_SCOPES = ['account', 'strategy', 'symbol'] as const;
const CHECKS = { events: ['risk.portfolio_limit.check'], scopes: ORDER_SCOPES } as const;
const NEARNESS = { ...CHECKS, where: [NO_GATE] } as const;
const DENIALS = { events: ['risk.portfolio_limit.rejection'], where: [ENFORCED], scopes: ORDER_SCOPES } as const;
/** What carries the lists of every limit. */
const LISTS = {
  events: ['risk.portfolio_limit.check', 'risk.portfolio_health'],
  where: [isSet('risk.limits.type')],
} as const;
const WARNINGS = {
  events: ['risk.portfolio_limit.warning', 'risk.limit_hit', 'risk.portfolio_heat_warning'],
} as const;
const REFUSED = { events: ['risk.rejection', 'risk.position_size_capped'], scopes: ORDER_SCOPES } as const;
const HEALTH = { events: ['risk.portfolio_health'] } as const;
const SET = ['service_name', 'risk.limit.set'] as const;
const ROOM = `{{ $m := fromJson .risk_limits_max }}{{ $n := fromJson .risk_limits_projected }}{{ range $i, $t := fromJson .risk_limits_type }}{{ if eq $t "$limit" }}{{ subf (index $m $i) (index $n $i) }}{{ end }}{{ end }}`;

/** Limits by their types; those that most services have are chosen. */
const TYPES = [
  'portfolio_delta',
  'portfolio_gamma',
  'portfolio_vega',
  'symbol_delta',
  'position_percent',
  'sector_percent',
  'correlated_percent',
  'total_exposure',
  'total_exposure_percent',
  'position_count',
  'order_quantity',
  'order_notional',
  'price_collar',
  'leverage',
  'margin',
  'daily_loss',
  'drawdown',
  'message_rate',
  'order_rate',
] as const;
const CHOSEN = ['daily_loss', 'drawdown', 'total_exposure_percent', 'leverage'] as const;

function limitVariable(): Builder<VariableModel> {
  return new CustomVariableBuilder('limit')
    .label('Limit')
    .description('Limits that have panels of their own.')
    .values(TYPES.join(','))
    .multi(true)
    .includeAll(false)
    .options(TYPES.map((value) => ({ text: value, value, selected: (CHOSEN as readonly string[]).includes(value) })))
    .current({ text: [...CHOSEN], value: [...CHOSEN] });
}

export const LIMITS: Described = {
  slug: 'limits',
  title: 'Limits',
  description: 'How full each limit is, what room is left, and what was denied, cut or warned of.',
  scopes: ORDER_SCOPES,
  variables: [limitVariable()],
  from: 'now-1h',
  refresh: '30s',
  panels: [
    chart({
      title: 'How full is the tightest limit?',
      description:
        'Of every check in a step the limit that bound most, and how full the order would have made it: orange from the usual soft line of 80 %, red from the limit on, where the order is denied. A value holds until the next check; what is past 200 % is drawn outside.',
      empty: 'No order was checked in this time',
      width: 16,
      unit: 'percentunit',
      as: 'steps',
      lines: true,
      max: 2,
      thresholds: UTILISATION,
      series: [
        {
          query: number('max', NEARNESS, 'risk.limit.utilization', STEP, ['service_name', 'risk.limit.type']),
          name: '{{service_name}} {{risk_limit_type}}',
        },
      ],
    }),
    stat({
      title: 'What was decided?',
      rows: [
        ['allow', 'good'],
        ['cap', 'warning'],
        ['deny', 'bad'],
      ],
      description: 'Checks in this time: orders allowed, denied, or cut to what all limits allow.',
      empty: 'No order was checked in this time',
      width: 8,
      unit: 'short',
      series: [{ query: count({ ...CHECKS, where: [ENFORCED] }, ['risk.decision']), name: '{{risk_decision}}' }],
    }),
    chart({
      title: 'How full is $limit?',
      description:
        'Utilisation of this limit at every check and health report of a step, whether or not it bound most. The variable “Limit” chooses which limits are shown.',
      empty: 'Not set, or nothing was checked in this time',
      width: 24,
      unit: 'percentunit',
      as: 'steps',
      lines: true,
      max: 2,
      thresholds: UTILISATION,
      repeat: 'limit',
      series: [
        {
          query: computed('max', LISTS, limitNumber('utilization'), STEP, SET),
          name: '{{service_name}} {{risk_limit_set}}',
        },
      ],
    }),
    stat({
      title: 'Room left under $limit',
      description:
        'The limit less its value if the last order that was checked within 24 hours were filled, in the limit’s own unit: what may still be added.',
      empty: 'Not set, or nothing was checked in 24 hours',
      width: 24,
      height: 5,
      unit: 'short',
      thresholds: thresholds('bad', [0, 'warning'], [0.000001, 'good']),
      repeat: 'limit',
      series: [
        { query: computed('last', LISTS, ROOM, STATE_WINDOW, SET), name: '{{service_name}} {{risk_limit_set}}' },
      ],
    }),
    stat({
      title: 'What was denied, and why?',
      description: 'Denials in this time by limit and reason code. An order that breaks two limits counts for both.',
      empty: 'No order was denied in this time',
      width: 8,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        {
          query: count(DENIALS, ['risk.limit.type', 'risk.reason.code']),
          name: '{{risk_limit_type}}: {{risk_reason_code}}',
        },
      ],
    }),
    stat({
      title: 'Which limits warned?',
      description: 'Warnings in this time: an order took a limit past its soft line and was let through.',
      empty: 'No limit warned in this time',
      width: 8,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        {
          query: count(WARNINGS, ['event_name', 'risk.limit.type']),
          name: '{{event_name}}: {{risk_limit_type}}',
          kinds: WARNINGS.events,
        },
      ],
    }),
    stat({
      title: 'What was refused before the limits?',
      description:
        'Signals and orders that validation refused in this time, and sizes that were cut to the largest allowed.',
      empty: 'Nothing was refused or cut in this time',
      width: 8,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        {
          query: count(REFUSED, ['event_name', 'risk.reason.code']),
          name: '{{event_name}}: {{risk_reason_code}}',
          kinds: REFUSED.events,
        },
      ],
    }),
    chart({
      title: 'Denials over time',
      tones: [['/.*/', 'warning']],
      description: 'Denials by limit in each step.',
      empty: 'No order was denied in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [{ query: countByStep(DENIALS, ['risk.limit.type']), name: '{{risk_limit_type}}' }],
    }),
    chart({
      title: 'Portfolio heat',
      description: 'Open risk of all positions, of equity, as health reports tell it; dashed the highest allowed.',
      empty: 'No health report in this time',
      width: 12,
      unit: 'percent',
      as: 'steps',
      limits: ['/ limit$/'],
      series: [
        { query: number('last', HEALTH, 'risk.heat', STEP, SET), name: '{{service_name}} {{risk_limit_set}}' },
        {
          query: number('last', HEALTH, 'risk.heat.max', STEP, SET),
          name: '{{service_name}} {{risk_limit_set}} limit',
        },
      ],
    }),
    lines({
      title: 'Denials, limits reached and changes of limits',
      description: 'Newest first, with the numbers. Open a line for every limit’s value at that moment and its trace.',
      empty: 'Nothing of the kind in this time',
      width: 24,
      query: records({
        events: [
          'risk.portfolio_limit.rejection',
          'risk.limit_hit',
          'risk.daily_loss_limit',
          'risk.portfolio_heat_warning',
          'config.limits_changed',
        ],
      }),
    }),
  ],
};
