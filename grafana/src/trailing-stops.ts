import type { Described } from './dashboard.ts';
import { computed, count, countByStep, isSet, number, RANGE, records, STEP } from './logql.ts';
import { thresholds } from './look.ts';
import { chart, lines, stat } from './panels.ts';

const LEVELS = {
  events: [
    'risk.trailing_stop.add',
    'risk.trailing_stop.activate',
    'risk.trailing_stop.peak',
    'risk.trailing_stop.update',
    'risk.trailing_stop.trigger',
  ],
  scopes: ['symbol'],
} as const;
const MOVES = {
  events: ['risk.trailing_stop.activate', 'risk.trailing_stop.update', 'risk.trailing_stop.trigger'],
  scopes: ['symbol'],
} as const;
const FIRED = {
  events: ['risk.trailing_stop.trigger'],
  where: [isSet('risk.trailing_stop.stop_price')],
  scopes: ['symbol'],
} as const;
const ENDS = {
  events: ['trade.stop_loss_hit', 'trade.take_profit_hit'],
  scopes: ['account', 'strategy', 'symbol'],
} as const;
const BY = ['service_name', 'trading.symbol', 'risk.trailing_stop.id'] as const;
const ID = '{{trading_symbol}} {{risk_trailing_stop_id}}';
/** Of the stop's level. */
const GAP = '{{ divf .risk_trailing_stop_gap .risk_trailing_stop_stop_price }}';

export const TRAILING_STOPS: Described = {
  slug: 'trailing-stops',
  title: 'Trailing stops',
  description: 'Where price, peak and stop of each position stand, what moved or fired, and what a gap cost.',
  scopes: ['account', 'strategy', 'symbol'],
  from: 'now-1h',
  refresh: '30s',
  panels: [
    chart({
      title: 'Where do price, peak and stop stand?',
      description:
        'For each stop its level (dashed), the best price since entry, and the observed price at each of its events. Point at a line for its stop. Type a symbol above when there are many: Loki refuses more than 2,000 lines.',
      empty: 'No stop moved in this time',
      width: 24,
      height: 12,
      unit: 'none',
      as: 'joined',
      unlisted: true,
      free: true,
      limits: ['/ stop$/'],
      tones: [
        ['/ price$/', 'plain'],
        ['/ peak$/', 'plainLight'],
      ],
      series: [
        { query: number('last', LEVELS, 'risk.trailing_stop.current_price', STEP, BY), name: `${ID} price` },
        { query: number('last', LEVELS, 'risk.trailing_stop.peak_price', STEP, BY), name: `${ID} peak` },
        { query: number('last', LEVELS, 'risk.trailing_stop.stop_price', STEP, BY), name: `${ID} stop` },
      ],
    }),
    stat({
      title: 'Activations, ratchets, triggers',
      description: 'How often in this time a stop got its first level, moved in the position’s favour, and fired.',
      empty: 'No stop moved in this time',
      width: 8,
      unit: 'short',
      series: [{ query: count(MOVES, ['event_name']), name: '{{event_name}}', kinds: MOVES.events }],
    }),
    chart({
      title: 'Activations, ratchets, triggers over time',
      description: 'The same in each step.',
      empty: 'No stop moved in this time',
      width: 16,
      unit: 'short',
      as: 'bars',
      series: [{ query: countByStep(MOVES, ['event_name']), name: '{{event_name}}', kinds: MOVES.events }],
    }),
    stat({
      title: 'How far past its level did a stop fire?',
      description:
        'The largest gap in this time between the level and the price that was seen, of the level. Above 1 % the alert “stop gap” fires: the market jumped, or prices come late.',
      empty: 'No stop fired in this time',
      width: 8,
      unit: 'percentunit',
      thresholds: thresholds('good', [0.005, 'warning'], [0.01, 'bad']),
      series: [
        {
          query: computed('max', FIRED, GAP, RANGE, ['service_name', 'trading.symbol']),
          name: '{{service_name}} {{trading_symbol}}',
        },
      ],
    }),
    stat({
      title: 'Which level fired?',
      description: 'Triggers in this time: by the level that trailed, or by the hard stop before it had one.',
      empty: 'No stop fired in this time',
      width: 8,
      unit: 'short',
      series: [
        {
          query: count({ events: ['risk.trailing_stop.trigger'], scopes: ['symbol'] }, ['risk.trailing_stop.trigger']),
          name: '{{risk_trailing_stop_trigger}}',
        },
      ],
    }),
    stat({
      title: 'Stops against take-profits',
      description: 'How the trades of this time ended, among those that ended by a stop or a take-profit.',
      empty: 'No trade ended so in this time',
      width: 8,
      unit: 'short',
      series: [{ query: count(ENDS, ['event_name']), name: '{{event_name}}', kinds: ENDS.events }],
    }),
    chart({
      title: 'Result of what was stopped',
      description:
        'Sum of the realised results of trades that ended by a stop, in each step, in the account’s currency.',
      empty: 'No trade was stopped out in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      free: true,
      series: [
        {
          query: number(
            'sum',
            { events: ['trade.stop_loss_hit'], scopes: ['account', 'strategy', 'symbol'] },
            'trading.pnl',
            STEP,
            ['trading.symbol'],
          ),
          name: '{{trading_symbol}}',
        },
      ],
    }),
    lines({
      title: 'Triggers and bad prices',
      description:
        'Newest first, with the level, the price and the gap. Open a line for its trace: the exit that followed.',
      empty: 'No stop fired in this time',
      width: 12,
      query: records({
        events: ['risk.trailing_stop.trigger', 'risk.trailing_stop.invalid_input', 'risk.trailing_stop.partial_close'],
        scopes: ['symbol'],
      }),
    }),
  ],
};
