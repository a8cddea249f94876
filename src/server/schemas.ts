/** The JSON Schemas of parameters and answers: what the OpenAPI document and the client are made of. */
import { FLAT_MEMBERS } from '../analysis/flat-record.ts';
import { STATE_LAYERS } from '../analysis/state-view.ts';
import { CATEGORIES } from '../catalog/define.ts';
import type { JsonSchema, Parameters } from './define-route.ts';
import { ORDERS } from './pages/place.ts';

const text = (description: string, more: JsonSchema = {}): JsonSchema => ({
  type: 'string',
  minLength: 1,
  maxLength: 400,
  description,
  ...more,
});
const flag = (description: string): JsonSchema => ({ type: 'boolean', default: false, description });
const TIME =
  'a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d)';
const from = (description: string) => text(description, { examples: ['2020-03-01'] });
const to = (description: string) => text(description, { examples: ['2020-03-31'] });
const nullable = (type: string, description: string): JsonSchema => ({ type: [type, 'null'], description });
const list = (items: JsonSchema, description: string): JsonSchema => ({ type: 'array', items, description });
const integer = (description: string): JsonSchema => ({ type: 'integer', description });

/** Filters of records: those of `risktrail events`. */
export const FILTERS: Parameters = {
  event: list(text('', { description: undefined }), 'Name of an event, * for any text; may be repeated.'),
  category: list({ type: 'string', enum: CATEGORIES }, 'Category; may be repeated.'),
  since: from(`From this time on: ${TIME}.`),
  until: to('Up to and including this time.'),
  symbol: text('Instrument.'),
  account: text('Account.'),
  strategy: text('Strategy.'),
  session: text('Trading session.'),
  execution: text('Execution of a strategy.'),
  correlation: text('Correlation id.'),
  trace: text('Trace id, or its first 8 characters and more.', { pattern: '^[0-9A-Fa-f]{8,32}$' }),
  severity: text('Lowest severity: TRACE, DEBUG, INFO, WARN, ERROR or FATAL.'),
  min_duration: { type: 'number', minimum: 0, description: 'Shortest timing.duration_ms.' },
  where: list(
    text('', { description: undefined }),
    'attribute=value, also != > >= < <= and ~ (contains); may be repeated.',
  ),
};

/** Parameters of pages. */
export const paging = (maxPageRecords: number): Parameters => ({
  limit: { type: 'integer', minimum: 1, maximum: maxPageRecords, default: 100, description: 'Most records.' },
  cursor: text('The cursor that the page before gave as next.', { maxLength: 2000, pattern: '^[A-Za-z0-9_-]+$' }),
});

export const ORDER: JsonSchema = {
  type: 'string',
  enum: ORDERS,
  default: 'desc',
  description:
    'desc: the newest first; asc: the oldest first, and next is always there, so that polling goes on from it.',
};

/** Range and filters of a report. */
export const REPORT_QUERY: Parameters = {
  from: from(`From this time on: ${TIME}. Of daily alone: the day.`),
  to: to('Up to and including this time.'),
  symbol: text('Instrument.'),
  strategy: text('Strategy.'),
  account: text('Account.'),
  verify: flag('Whether the trail is verified first.'),
};

/** The range of the older endpoints. */
export const DATE_RANGE: Parameters = {
  start_date: from(`From this time on: ${TIME}.`),
  end_date: to('Up to and including this time; a bare date counts to its end.'),
};

export const AT: JsonSchema = text(`The moment: ${TIME}.`, { examples: ['2020-03-13T19:23:00Z'] });
export const LAYER: JsonSchema = list({ type: 'string', enum: STATE_LAYERS }, 'Only this layer; may be repeated.');
export const FROM: JsonSchema = from(`From this time on: ${TIME}.`);
export const TO: JsonSchema = to('Up to and including this time.');
const PARAMETER = text('', { description: undefined });
export const REPLAY_SET: JsonSchema = {
  ...list(
    PARAMETER,
    'A parameter that is other than recorded: breaker.<name>.<option>=value, stops.<option>=value, limits.<limit>.<option>=value; may be repeated.',
  ),
  examples: [['breaker.broker.failureThreshold=3']],
};
export const REPLAY_SWEEP: JsonSchema = {
  ...list(PARAMETER, 'Values of a parameter: stops.trailingPct=1..5/0.5 (from, to, step) or =1,2,5; once or twice.'),
  minItems: 1,
  maxItems: 2,
  examples: [['stops.activationPct=1..3/1']],
};
export const RULE_IDS: JsonSchema = {
  ...list(PARAMETER, 'Only what this rule raises; may be repeated.'),
  examples: [['trading_halted']],
};
export const VERIFIER_KEYS: JsonSchema = list(
  text('', { description: undefined, pattern: '^[^\\s+]+\\+[0-9a-f]{8}\\+[A-Za-z0-9+/=]+$' }),
  'A verifier key as verifier.vkey has it, name+hash+key, so that it need not be the one beside the trail; may be repeated.',
);
export const TEXT = text;
export const FLAG = flag;

const WARNING = nullable('string', 'Why the records should not be trusted as they are; null where they were verified.');
const RECORDS = list({ $ref: 'TrailRecord#' }, 'The records.');

/** Schemas that others refer to, by their names. */
export const COMPONENTS: readonly (JsonSchema & { readonly $id: string })[] = [
  {
    $id: 'Problem',
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code'],
    properties: {
      type: { type: 'string', description: 'URN of the kind of problem.' },
      title: { type: 'string' },
      status: integer('HTTP status.'),
      detail: { type: 'string', description: 'What is wrong with this request, in one sentence.' },
      code: { type: 'string', description: 'Code to match on.' },
      remedy: { type: 'string', description: 'What to do about it.' },
    },
  },
  {
    $id: 'TrailRecord',
    type: 'object',
    description: 'A record in the flat shape: the members below, then every attribute by its full name.',
    required: FLAT_MEMBERS,
    properties: {
      timestamp: { type: 'string', description: 'ISO 8601 in UTC with nine digits of the second.' },
      event: nullable('string', 'Name of the event; null for a plain log line.'),
      category: list({ type: 'string' }, 'Categories of the event.'),
      severity: { type: 'string' },
      severity_number: integer('OpenTelemetry severity number.'),
      body: { type: 'string', description: 'The sentence.' },
      component: nullable('string', 'What emitted it.'),
      service: nullable('string', 'Service.'),
      stream: nullable('string', 'Stream of the record.'),
      sequence: nullable('integer', 'Number within the stream.'),
      record_id: nullable('string', 'Id of the record.'),
      integrity: nullable('string', 'Leaf hash that the record claims, base64.'),
      trace_id: nullable('string', 'Trace id, hex.'),
      span_id: nullable('string', 'Span id, hex.'),
    },
    additionalProperties: true,
  },
  {
    $id: 'Metric',
    type: 'object',
    required: ['value', 'n', 'convention'],
    properties: {
      value: nullable('number', 'The value; null where there is none.'),
      n: { type: 'number', description: 'Observations that it stands on.' },
      convention: { type: 'string' },
      unit: { type: 'string' },
      undefinedBecause: { type: 'string', description: 'Why there is no value.' },
    },
  },
  {
    $id: 'Integrity',
    type: 'object',
    required: ['status', 'detail'],
    properties: {
      status: { type: 'string', enum: ['verified', 'findings', 'unverified'] },
      detail: { type: 'string' },
      checked_at: nullable('string', 'When the newest verification ended.'),
    },
  },
];

const CHECK_STATUS: JsonSchema = { type: 'string', enum: ['ok', 'warn', 'fail'] };
const PARAMETERS: JsonSchema = {
  type: 'object',
  additionalProperties: { type: ['number', 'string', 'boolean', 'null'] },
  description: 'Values by their parameters.',
};
const RECORD_INPUTS: JsonSchema = { type: 'string', enum: ['changes', 'all', 'mixed'] };
const FIGURES: JsonSchema = {
  type: 'object',
  additionalProperties: { type: 'number' },
  description:
    'halts, reductions, halted_minutes, stops_fired, orders_denied, orders_cut, calls_refused, positions_closed, positions_open, result',
};

/** Schemas of answers. */
export const ANSWERS = {
  events: {
    type: 'object',
    required: ['records', 'page', 'warning'],
    properties: {
      records: RECORDS,
      page: {
        type: 'object',
        required: ['limit', 'order', 'next', 'more'],
        properties: {
          limit: integer('Most records that were asked for.'),
          order: { type: 'string', enum: ORDERS },
          next: nullable('string', 'Cursor of the next page; null behind the last.'),
          more: { type: 'boolean', description: 'Whether the next page holds, or may hold, something now.' },
        },
      },
      warning: WARNING,
    },
  },
  event: {
    type: 'object',
    required: ['record', 'warning'],
    properties: { record: { $ref: 'TrailRecord#' }, warning: WARNING },
  },
  explanation: {
    type: 'object',
    required: ['answer', 'steps', 'integrity', 'warning'],
    properties: {
      answer: { type: 'string', description: 'The answer in one or a few sentences.' },
      steps: list({ type: 'object', additionalProperties: true }, 'The records of the chain, in the order of time.'),
      integrity: { type: 'string', description: 'How far the records can be trusted.' },
      warning: WARNING,
    },
    additionalProperties: true,
  },
  report: {
    type: 'object',
    required: ['report', 'from', 'to', 'records', 'integrity', 'sections', 'warning'],
    properties: {
      report: { type: 'string' },
      from: nullable('string', 'Begin as asked for.'),
      to: nullable('string', 'End as asked for.'),
      filters: { type: 'object', additionalProperties: { type: 'string' } },
      records: integer('Records that it stands on.'),
      first: nullable('string', 'Time of the first.'),
      last: nullable('string', 'Time of the last.'),
      integrity: { $ref: 'Integrity#' },
      sections: list({ type: 'object', additionalProperties: true }, 'Named metrics, or tables.'),
      warning: WARNING,
    },
    additionalProperties: true,
  },
  /** Of the older endpoints: values by their names. */
  values: {
    type: 'object',
    required: ['start_date', 'end_date', 'records', 'undefined', 'warning'],
    properties: {
      start_date: nullable('string', 'Begin of the range.'),
      end_date: nullable('string', 'End of the range.'),
      records: integer('Records that the values stand on.'),
      undefined: {
        type: 'object',
        additionalProperties: { type: 'string' },
        description: 'Why a value is null, by its name.',
      },
      warning: WARNING,
    },
    additionalProperties: true,
  },
  reports: {
    type: 'object',
    required: ['reports'],
    properties: { reports: list({ type: 'string' }, 'Names.') },
  },
  query: {
    type: 'object',
    required: ['columns', 'rows', 'truncated', 'warning'],
    properties: {
      columns: list({ type: 'string' }, 'Names.'),
      rows: list({ type: 'array', items: {} }, 'Cells in the order of the columns.'),
      truncated: { type: 'boolean', description: 'Whether there are more rows than were asked for.' },
      warning: WARNING,
    },
  },
  state: {
    type: 'object',
    required: ['at', 'streams', 'warning'],
    properties: {
      at: nullable('string', 'The moment; null for the end of the trail.'),
      streams: list({ type: 'object', additionalProperties: true }, 'The state of each process that began on its own.'),
      warning: WARNING,
    },
  },
  stateDiff: {
    type: 'object',
    required: ['from', 'to', 'streams', 'warning'],
    properties: {
      from: { type: 'string' },
      to: nullable('string', 'The later moment; null for the end of the trail.'),
      streams: list(
        {
          type: 'object',
          required: ['stream', 'began', 'differences'],
          properties: {
            stream: { type: 'string' },
            began: { type: 'boolean', description: 'Whether there was nothing of it at the earlier moment.' },
            differences: list(
              {
                type: 'object',
                required: ['path', 'before', 'after'],
                properties: { path: { type: 'string' }, before: {}, after: {} },
              },
              'Members that differ.',
            ),
          },
        },
        'What differs, by stream.',
      ),
      warning: WARNING,
    },
  },
  verify: {
    type: 'object',
    required: ['ok', 'keySource', 'streams'],
    properties: {
      ok: { type: 'boolean' },
      keySource: { type: 'string' },
      streams: list({ type: 'object', additionalProperties: true }, 'What was found of each stream.'),
      semantic: {
        type: 'object',
        required: ['ok', 'compared', 'findings', 'unreadable'],
        description: 'With semantic: what comparing the snapshots came to.',
        properties: {
          ok: { type: 'boolean' },
          compared: integer('Snapshots that were compared.'),
          findings: list({ type: 'object', additionalProperties: true }, 'Snapshots that disagree.'),
          unreadable: integer('Events of a newer version, which could not be folded.'),
        },
      },
    },
  },
  status: {
    type: 'object',
    required: ['streams', 'diskFreeBytes', 'concerns', 'integrity'],
    properties: {
      streams: list({ type: 'object', additionalProperties: true }, 'How each stream stands.'),
      diskFreeBytes: integer('Free bytes of the volume.'),
      concerns: list({ type: 'string' }, 'What an operator should look at.'),
      integrity: { $ref: 'Integrity#' },
    },
  },
  proof: {
    type: 'object',
    required: ['stream', 'sequence', 'record_id', 'size', 'proof', 'record'],
    properties: {
      stream: { type: 'string' },
      sequence: integer('Number of the record.'),
      record_id: nullable('string', 'Id of the record: names both files.'),
      size: integer('Size of the checkpoint that the proof leads to.'),
      proof: { type: 'string', description: 'Content of the file *.tlog-proof.' },
      record: { type: 'string', description: 'Content of the file *.json: the record’s canonical text.' },
    },
  },
  consistency: {
    type: 'object',
    required: ['stream', 'old_size', 'new_size', 'proof'],
    properties: {
      stream: { type: 'string' },
      old_size: integer('Size of the older checkpoint.'),
      new_size: integer('Size of the newer one.'),
      proof: { type: 'string', description: 'Content of the file *.consistency-proof.' },
    },
  },
  keys: {
    type: 'object',
    required: ['keys', 'handovers'],
    properties: {
      keys: list(
        {
          type: 'object',
          required: ['vkey', 'signs'],
          properties: {
            vkey: { type: 'string', description: 'name+hash+key, as vkey takes it.' },
            signs: { type: 'boolean', description: 'Whether it is the one that signs now.' },
          },
        },
        'The keys, newest first.',
      ),
      handovers: list(
        {
          type: 'object',
          required: ['file', 'time', 'old_vkey', 'new_vkey'],
          properties: {
            file: { type: 'string', description: 'Name of the statement.' },
            time: nullable('string', 'When it was made.'),
            old_vkey: nullable('string', 'The key that hands over.'),
            new_vkey: nullable('string', 'The key that follows; null where not both signed.'),
          },
        },
        'The statements by which one key follows another.',
      ),
    },
  },
  doctor: {
    type: 'object',
    required: ['status', 'checks'],
    properties: {
      status: { ...CHECK_STATUS, description: 'The worst of them.' },
      checks: list(
        {
          type: 'object',
          required: ['name', 'status', 'found'],
          properties: {
            name: { type: 'string' },
            status: CHECK_STATUS,
            found: { type: 'string' },
            fix: { type: 'string', description: 'What to do about it; absent where all is well.' },
          },
        },
        'The checks.',
      ),
    },
  },
  unsettledOrders: {
    type: 'object',
    required: ['orders', 'warning'],
    properties: {
      orders: list(
        {
          type: 'object',
          required: ['since', 'service', 'stream', 'outcome', 'record_id'],
          properties: {
            since: { type: 'string' },
            service: { type: 'string' },
            stream: { type: 'string' },
            venue: nullable('string', 'Venue.'),
            symbol: nullable('string', 'Instrument.'),
            side: nullable('string', 'Side.'),
            quantity: { type: ['number', 'string', 'null'], description: 'Quantity, as it was recorded.' },
            price: { type: ['number', 'string', 'null'], description: 'Price, as it was recorded.' },
            order_id: nullable('string', 'Id of the venue.'),
            client_order_id: nullable('string', 'Id that was sent along.'),
            outcome: {
              type: 'string',
              enum: ['none', 'unknown'],
              description: 'none: only the intent was recorded; unknown: no answer came.',
            },
            record_id: { type: 'string', description: 'The first record of the order.' },
          },
        },
        'The orders.',
      ),
      warning: WARNING,
    },
  },
  replay: {
    type: 'object',
    required: ['parameters', 'recorded', 'replayed', 'rows', 'row_count', 'truncated', 'unknown', 'notes', 'warning'],
    properties: {
      parameters: PARAMETERS,
      streams: list({ type: 'string' }, 'Streams that were replayed.'),
      record_inputs: RECORD_INPUTS,
      from: { type: 'string' },
      to: { type: 'string' },
      recorded: FIGURES,
      replayed: FIGURES,
      realised: { type: 'number', description: 'What was recorded as realised with the trades.' },
      rows: list({ type: 'object', additionalProperties: true }, 'Decisions that come out otherwise, by time.'),
      row_count: integer('How many there are.'),
      truncated: { type: 'boolean', description: 'Whether there are more than were asked for.' },
      unknown: integer('Decisions of which nothing can be known.'),
      first_difference: nullable('string', 'Time of the first.'),
      notes: list({ type: 'string' }, 'What limits the answer.'),
      warning: WARNING,
    },
  },
  replayCheck: {
    type: 'object',
    required: ['ok', 'decisions', 'layers', 'inputs', 'taken_over', 'record_inputs', 'differences', 'warning'],
    properties: {
      ok: { type: 'boolean', description: 'Whether every decision came out the same.' },
      decisions: integer('Decisions that were made again.'),
      layers: { type: 'object', additionalProperties: { type: 'integer' }, description: 'By layer.' },
      inputs: integer('Inputs that were replayed.'),
      taken_over: integer('Decisions of which the trail does not hold the input.'),
      record_inputs: RECORD_INPUTS,
      differences: list({ type: 'object', additionalProperties: true }, 'The first of each layer.'),
      warning: WARNING,
    },
  },
  replaySweep: {
    type: 'object',
    required: ['axes', 'fixed', 'recorded', 'rows', 'record_inputs', 'from', 'to', 'notes', 'warning'],
    properties: {
      axes: list(
        {
          type: 'object',
          required: ['parameter', 'values'],
          properties: { parameter: { type: 'string' }, values: { type: 'array', items: {} } },
        },
        'The axes.',
      ),
      fixed: PARAMETERS,
      recorded: FIGURES,
      rows: list(
        {
          type: 'object',
          required: ['parameters'],
          properties: { parameters: PARAMETERS },
          additionalProperties: true,
        },
        'One for each setting.',
      ),
      record_inputs: RECORD_INPUTS,
      from: { type: 'string' },
      to: { type: 'string' },
      notes: list({ type: 'string' }, 'What limits the answer.'),
      warning: WARNING,
    },
  },
  alertRules: {
    type: 'object',
    required: ['rules'],
    properties: {
      rules: list(
        {
          type: 'object',
          required: ['id', 'title', 'type', 'severity', 'measure', 'condition', 'windowMs', 'forMs', 'runbook'],
          properties: {
            id: { type: 'string' },
            title: { type: 'string' },
            type: { type: 'string' },
            severity: { type: 'string' },
            measure: { type: 'object', additionalProperties: true, description: 'What is measured.' },
            condition: { type: 'object', additionalProperties: true, description: 'When it is raised.' },
            windowMs: integer('Events of so long are measured.'),
            forMs: integer('How long the condition must hold.'),
            runbook: { type: 'string', description: 'Page below docs/runbooks, without its ending.' },
          },
          additionalProperties: true,
        },
        'The rules.',
      ),
    },
  },
  alertEvaluation: {
    type: 'object',
    required: ['records', 'rules', 'alerts', 'warning'],
    properties: {
      records: integer('Records that the rules saw.'),
      rules: list({ type: 'string' }, 'Ids of the rules that were asked for.'),
      alerts: list(
        {
          type: 'object',
          required: ['raised_at', 'resolved_at', 'rule', 'type', 'severity', 'title', 'message', 'service', 'events'],
          properties: {
            raised_at: { type: 'string' },
            resolved_at: nullable('string', 'Null where it stood at the end.'),
            rule: { type: 'string' },
            type: { type: 'string' },
            severity: { type: 'string' },
            title: { type: 'string' },
            message: { type: 'string' },
            service: { type: 'string' },
            group: { type: 'object', additionalProperties: { type: 'string' }, description: 'What it is about.' },
            value: { type: 'number', description: 'The measured value.' },
            events: list({ type: 'string' }, 'Record ids of the newest events behind it.'),
          },
        },
        'What was raised, in that order.',
      ),
      warning: WARNING,
    },
  },
  alerts: {
    type: 'object',
    required: ['alerts', 'page', 'warning'],
    properties: {
      alerts: list({ type: 'object', additionalProperties: true }, 'Alerts as they stand, the newest first.'),
      page: {
        type: 'object',
        required: ['limit', 'next'],
        properties: { limit: integer('Most alerts.'), next: nullable('string', 'Cursor of the next page.') },
      },
      warning: WARNING,
    },
  },
  alertAct: {
    type: 'object',
    required: ['alert_id', 'act', 'record_id'],
    properties: {
      alert_id: { type: 'string' },
      act: { type: 'string', enum: ['acknowledged', 'resolved', 'dismissed'] },
      record_id: { type: 'string', description: 'Id of the record that tells of it.' },
    },
  },
  catalogue: {
    type: 'object',
    required: ['events'],
    properties: {
      events: list(
        {
          type: 'object',
          required: ['event', 'class', 'severity', 'category', 'brief'],
          properties: {
            event: { type: 'string' },
            class: { type: 'string' },
            severity: { type: 'string' },
            category: list({ type: 'string' }, 'Categories.'),
            brief: { type: 'string' },
          },
        },
        'The events.',
      ),
    },
  },
  schema: { type: 'object', additionalProperties: true },
  health: {
    type: 'object',
    required: ['status', 'version'],
    properties: {
      status: { type: 'string', enum: ['ok', 'degraded'] },
      version: { type: 'string' },
      integrity: { $ref: 'Integrity#' },
      concerns: list({ type: 'string' }, 'What an operator should look at.'),
    },
  },
} as const;
