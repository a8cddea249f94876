import type { Described } from './dashboard.ts';
import { count, countByStep, isSet, number, RANGE, records, STATE_WINDOW, STEP } from './logql.ts';
import { FEW_ARE_GOOD, NONE_IS_GOOD, thresholds } from './look.ts';
import { chart, gauges, lines, stat } from './panels.ts';

const HEALTH = { events: ['audit.health'] } as const;
const RECORDS = { where: [isSet('audit.stream')] } as const;
const TROUBLE = {
  events: ['audit.recovered', 'audit.degraded', 'audit.record_rejected', 'audit.finding'],
} as const;
const LIFE = {
  events: [
    'audit.checkpoint',
    'audit.stream_opened',
    'audit.stream_closed',
    'audit.segment_sealed',
    'audit.segment_pruned',
    'audit.stream_restored',
  ],
} as const;
const STREAM = ['audit.stream'] as const;
const SERVICE = ['service_name'] as const;
const NAME = '{{service_name}}';
const BACKLOG_SECONDS = thresholds('good', [60, 'warning'], [300, 'bad']);
const CHECKPOINT_AGE = thresholds('good', [120_000, 'warning'], [300_000, 'bad']);
const DISK = thresholds('bad', [1_000_000_000, 'warning'], [5_000_000_000, 'good']);

const sequence = (over: 'max' | 'min'): string => number(over, RECORDS, 'audit.sequence.number', RANGE, STREAM);
/** Numbers between the first and the last that Loki holds, less how many of them it holds. */
const MISSING = `${sequence('max')} - ${sequence('min')} + 1 - ${count(RECORDS, STREAM)}`;

export const AUDIT_TRAIL: Described = {
  slug: 'audit-trail',
  title: 'Audit trail',
  description: 'Whether everything is recorded, signed and shipped; what was lost, repaired or found.',
  scopes: [],
  from: 'now-6h',
  refresh: '30s',
  panels: [
    stat({
      title: 'How far behind is shipping?',
      description:
        'Age of the oldest record that is not shipped yet, as last told within 24 hours. From five minutes on an alert fires. What is not shipped is safe in the journal.',
      empty: 'No service told its health in 24 hours',
      width: 6,
      unit: 's',
      thresholds: BACKLOG_SECONDS,
      series: [{ query: number('last', HEALTH, 'audit.health.backlog_seconds', STATE_WINDOW, SERVICE), name: NAME }],
    }),
    stat({
      title: 'How old is the last checkpoint?',
      description:
        'What is newer than the last checkpoint is not signed yet. Checkpoints come every minute unless set otherwise; from five minutes on an alert fires.',
      empty: 'No service told its health in 24 hours',
      width: 6,
      unit: 'ms',
      thresholds: CHECKPOINT_AGE,
      series: [{ query: number('last', HEALTH, 'audit.health.checkpoint_age_ms', STATE_WINDOW, SERVICE), name: NAME }],
    }),
    stat({
      title: 'How much disk is left?',
      description: 'Of the journal’s file system, as last told within 24 hours. Below 1 GB an alert fires.',
      empty: 'No service told its health in 24 hours',
      width: 6,
      unit: 'bytes',
      thresholds: DISK,
      series: [{ query: number('last', HEALTH, 'audit.health.disk_free_bytes', STATE_WINDOW, SERVICE), name: NAME }],
    }),
    stat({
      title: 'Is anything lost or waiting in memory?',
      description:
        'Events that could not be recorded since the service started, records that wait in memory because the disk does not take them, and records that the receiver refused for good, as last told within 24 hours. All should be 0.',
      empty: 'No service told its health in 24 hours',
      width: 6,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      series: [
        { query: number('last', HEALTH, 'audit.health.lost_records', STATE_WINDOW, SERVICE), name: `${NAME} lost` },
        {
          query: number('last', HEALTH, 'audit.health.waiting_records', STATE_WINDOW, SERVICE),
          name: `${NAME} waiting`,
        },
        {
          query: number('last', HEALTH, 'audit.health.rejected_records', STATE_WINDOW, SERVICE),
          name: `${NAME} refused`,
        },
      ],
    }),
    chart({
      title: 'Backlog over time',
      description: 'Records that are written and not yet shipped, the most of each step.',
      empty: 'No service told its health in this time',
      width: 12,
      unit: 'short',
      series: [{ query: number('max', HEALTH, 'audit.health.backlog_records', STEP, SERVICE), name: NAME }],
    }),
    chart({
      title: 'Records of each stream over time',
      description: 'Records that arrived in Loki, by stream: each run of a service on a data directory has its own.',
      empty: 'No record of a trail in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [{ query: countByStep(RECORDS, STREAM), name: '{{audit_stream}}' }],
    }),
    gauges({
      title: 'Records of each stream',
      description: 'The same for the whole time. SQL over the audit file gives the same number.',
      empty: 'No record of a trail in this time',
      width: 8,
      unit: 'short',
      series: [{ query: count(RECORDS, STREAM), name: '{{audit_stream}}' }],
    }),
    gauges({
      title: 'Which numbers are missing in Loki?',
      description:
        'Records of a stream are numbered. Counted here: numbers between the first and the last of the last 24 hours that Loki does not hold. What is on its way may show for a moment; what stays is named by `risktrail reconcile --loki`, and the audit file is what counts.',
      empty: 'No record of a trail in 24 hours',
      width: 8,
      unit: 'short',
      thresholds: NONE_IS_GOOD,
      only: '24h',
      series: [{ query: MISSING, name: '{{audit_stream}}' }],
    }),
    stat({
      title: 'Checkpoints, starts and ends',
      description:
        'Signed checkpoints, and streams and segments that were opened, closed, sealed, pruned or rebuilt in this time. Checkpoints are part of the journal; whether they are shipped is up to the service.',
      empty: 'None in this time',
      width: 8,
      unit: 'short',
      series: [
        {
          query: count(LIFE, ['event_name']),
          name: '{{event_name}}',
          kinds: LIFE.events,
        },
      ],
    }),
    stat({
      title: 'Recoveries and degradations',
      description:
        'In this time: streams that went on after an unclean end, times that the journal could not be written as it should be, records that the receiver refused for good, findings of a running verification.',
      empty: 'None in this time',
      width: 8,
      unit: 'short',
      thresholds: FEW_ARE_GOOD,
      nothing: 'good',
      series: [
        {
          query: count(TROUBLE, ['service_name', 'event_name']),
          name: '{{service_name}} {{event_name}}',
          kinds: TROUBLE.events,
        },
      ],
    }),
    chart({
      title: 'Steps of the wall clock',
      description: 'How often the wall clock was stepped against the monotonic one since the service started.',
      empty: 'No service told its health in this time',
      width: 8,
      unit: 'short',
      as: 'steps',
      series: [{ query: number('max', HEALTH, 'audit.health.clock_steps', STEP, SERVICE), name: NAME }],
    }),
    gauges({
      title: 'How are records written?',
      description:
        'Health reports of this time by the journal’s mode: direct as ever, buffered through a thread since the disk is slow, failing since it cannot be written.',
      empty: 'No service told its health in this time',
      width: 8,
      unit: 'short',
      series: [
        {
          query: count(HEALTH, ['service_name', 'audit.health.journal_mode']),
          name: '{{service_name}} {{audit_health_journal_mode}}',
        },
      ],
    }),
    lines({
      title: 'What the trail says of itself',
      description: 'Recoveries, degradations, findings, refused records, starts and ends, newest first.',
      empty: 'Nothing in this time',
      width: 24,
      query: records({
        events: [
          'audit.recovered',
          'audit.degraded',
          'audit.finding',
          'audit.record_rejected',
          'audit.stream_opened',
          'audit.stream_closed',
          'audit.stream_restored',
          'audit.segment_pruned',
        ],
      }),
    }),
  ],
};
