import { type Described, textVariable } from './dashboard.ts';
import { countByStep, isAtLeast, isSet, records } from './logql.ts';
import { STATES_BY_NAME, STOPS } from './look.ts';
import { chart, lines, table, trace, traces } from './panels.ts';

/** A record belongs to an incident by its correlation, its trace, itself, or what caused it. */
const OF_INCIDENT =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
  'correlation_id="${id}" or trace_id="${id}" or audit_record_id="${id}" or risk_cause_record_id="${id}"';

export const INCIDENT: Described = {
  slug: 'incident',
  title: 'Incident',
  description:
    'One incident from its first event to the last: the chain of its records, the trace, and what else was logged.',
  scopes: [],
  variables: [
    textVariable(
      'id',
      'Correlation, trace or record id',
      'Paste any of them, or click one in the table of halts.',
      'none',
    ),
    textVariable('trace', 'Trace id', 'A click on a record’s trace sets it.', ''),
  ],
  from: 'now-6h',
  refresh: '1m',
  panels: [
    table({
      title: 'Which incident?',
      description:
        'Halts, trips, uses of the kill switch and orders of unknown outcome, newest first. A click on the correlation id shows its chain below, a click on the trace id its trace; a record without them is found by its record id.',
      empty: 'Nothing of the kind in this time: trading was not stopped',
      width: 24,
      query: records({
        events: [
          'risk.trading_state_change',
          'risk.circuit_breaker.state_change',
          'risk.kill_switch',
          'order.outcome_unknown',
        ],
      }),
      columns: [
        { attribute: 'event_name', heading: 'What', width: 140, mappings: STOPS },
        { attribute: 'risk.scope', heading: 'Scope', width: 130 },
        { attribute: 'risk.trading_state.new', heading: 'Trading', width: 100, mappings: STATES_BY_NAME },
        { attribute: 'risk.circuit_breaker.name', heading: 'Breaker', width: 130 },
        { attribute: 'risk.circuit_breaker.state.new', heading: 'It is', width: 120, mappings: STATES_BY_NAME },
        { attribute: 'risk.reason', heading: 'Reason' },
        { attribute: 'correlation.id', heading: 'Correlation id', sets: 'id', width: 210 },
        { attribute: 'trace_id', heading: 'Trace', sets: 'trace', width: 170 },
        { attribute: 'audit.record.id', heading: 'Record id', sets: 'id', width: 170 },
      ],
    }),
    lines({
      title: 'What happened, step by step?',
      description:
        'Every record of the correlation, trace or record that is named above, and what that record caused, oldest first.',
      empty: 'Nothing belongs to that id in this time: name one above, or widen the time',
      width: 12,
      height: 16,
      query: `${records({})} | ${OF_INCIDENT}`,
      oldestFirst: true,
    }),
    trace({
      title: 'Where did the time go?',
      description: 'The trace, span by span. Spans lead back to their records.',
      empty: 'No trace of that id in Tempo: click one above',
      width: 12,
      height: 16,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
      id: '${trace}',
    }),
    lines({
      title: 'What else went wrong at that time?',
      description: 'Every warning and error of the chosen services in this time, whatever it belongs to.',
      empty: 'No warning and no error in this time',
      width: 12,
      height: 10,
      query: records({ where: [isAtLeast('severity_number', 13)] }),
      oldestFirst: true,
    }),
    traces({
      title: 'Traces of that correlation',
      description: 'Traces whose spans carry the correlation id that is named above.',
      empty: 'No trace carries that correlation id in this time',
      width: 12,
      height: 10,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
      query: '{ span."correlation.id" = "${id}" }',
    }),
    chart({
      title: 'Warnings and errors over time',
      description: 'Records of severity WARN and above, by event, in each step: where the trouble began.',
      empty: 'No warning and no error in this time',
      width: 12,
      unit: 'short',
      as: 'bars',
      series: [
        { query: countByStep({ where: [isAtLeast('severity_number', 13)] }, ['event_name']), name: '{{event_name}}' },
      ],
    }),
    lines({
      title: 'Who did something?',
      description: 'Acts of named people and components: halts, resumes, resets, settings, the kill switch.',
      empty: 'Nobody acted in this time',
      width: 12,
      query: records({
        events: [
          'risk.trading_state_change',
          'risk.circuit_breaker.manual_trip',
          'risk.circuit_breaker.manual_reset',
          'risk.circuit_breaker.manual_disable',
          'risk.kill_switch',
          'config.limits_changed',
          'alert.acknowledged',
          'alert.dismissed',
        ],
        where: [isSet('risk.actor')],
      }),
    }),
  ],
};
