/**
 * The client of the REST server, made by scripts/generate-client.ts from schema/openapi.json: don't edit it. It stands on `fetch`
 * alone, and imports nothing.
 * @example
 * import { RiskTrailClient } from 'risktrail/client';
 *
 * const client = new RiskTrailClient({ baseUrl: 'http://127.0.0.1:7117' });
 * const { records } = await client.listEvents({ category: ['risk'], since: '24h' });
 */

/** How a server is reached. */
export interface ClientOptions {
  /** `http://127.0.0.1:7117` */
  readonly baseUrl: string;
  /** As `risktrail serve token` printed it; needed where the server has a token file. */
  readonly token?: string | undefined;
  /** @default the global fetch */
  readonly fetch?: typeof fetch | undefined;
}

/** How one call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** `Last-Event-ID` and others. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** An answer that is no success. */
export class RiskTrailApiError extends Error {
  override readonly name = 'RiskTrailApiError';
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
    this.status = status;
    this.problem = problem;
  }
}

/** A record of a live tail. Its id is what a later tail goes on from, as `Last-Event-ID`. */
export interface TailEvent {
  readonly id: string;
  readonly record: TrailRecord;
}

interface Places {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly hasBody: boolean;
}

/** As the server tells it: Problem. */
export type Problem = {
  /** URN of the kind of problem. */
  readonly type: string;
  readonly title: string;
  /** HTTP status. */
  readonly status: number;
  /** What is wrong with this request, in one sentence. */
  readonly detail: string;
  /** Code to match on. */
  readonly code: string;
  /** What to do about it. */
  readonly remedy?: string | undefined;
};

/** A record in the flat shape: the members below, then every attribute by its full name. */
export type TrailRecord = {
  /** ISO 8601 in UTC with nine digits of the second. */
  readonly timestamp: string;
  /** Name of the event; null for a plain log line. */
  readonly event: string | null;
  /** Categories of the event. */
  readonly category: readonly string[];
  readonly severity: string;
  /** OpenTelemetry severity number. */
  readonly severity_number: number;
  /** The sentence. */
  readonly body: string;
  /** What emitted it. */
  readonly component: string | null;
  /** Service. */
  readonly service: string | null;
  /** Stream of the record. */
  readonly stream: string | null;
  /** Number within the stream. */
  readonly sequence: number | null;
  /** Id of the record. */
  readonly record_id: string | null;
  /** Leaf hash that the record claims, base64. */
  readonly integrity: string | null;
  /** Trace id, hex. */
  readonly trace_id: string | null;
  /** Span id, hex. */
  readonly span_id: string | null;
} & { readonly [name: string]: unknown };

/** As the server tells it: Metric. */
export type Metric = {
  /** The value; null where there is none. */
  readonly value: number | null;
  /** Observations that it stands on. */
  readonly n: number;
  readonly convention: string;
  readonly unit?: string | undefined;
  /** Why there is no value. */
  readonly undefinedBecause?: string | undefined;
};

/** As the server tells it: Integrity. */
export type Integrity = {
  readonly status: 'verified' | 'findings' | 'unverified';
  readonly detail: string;
  /** When the newest verification ended. */
  readonly checked_at?: string | null | undefined;
};

/** What `listEvents` is asked. */
export type ListEventsInput = {
  /** Name of an event, * for any text; may be repeated. */
  readonly event?: readonly string[] | undefined;
  /** Category; may be repeated. */
  readonly category?:
    | readonly (
        | 'risk'
        | 'order'
        | 'trade'
        | 'position'
        | 'account'
        | 'config'
        | 'strategy'
        | 'market'
        | 'api'
        | 'system'
        | 'error'
        | 'daemon'
        | 'performance'
        | 'enforcement'
        | 'alert'
        | 'audit'
      )[]
    | undefined;
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly since?: string | undefined;
  /** Up to and including this time. */
  readonly until?: string | undefined;
  /** Instrument. */
  readonly symbol?: string | undefined;
  /** Account. */
  readonly account?: string | undefined;
  /** Strategy. */
  readonly strategy?: string | undefined;
  /** Trading session. */
  readonly session?: string | undefined;
  /** Execution of a strategy. */
  readonly execution?: string | undefined;
  /** Correlation id. */
  readonly correlation?: string | undefined;
  /** Trace id, or its first 8 characters and more. */
  readonly trace?: string | undefined;
  /** Lowest severity: TRACE, DEBUG, INFO, WARN, ERROR or FATAL. */
  readonly severity?: string | undefined;
  /** Shortest timing.duration_ms. */
  readonly min_duration?: number | undefined;
  /** attribute=value, also != > >= < <= and ~ (contains); may be repeated. */
  readonly where?: readonly string[] | undefined;
  /** Most records. */
  readonly limit?: number | undefined;
  /** The cursor that the page before gave as next. */
  readonly cursor?: string | undefined;
  /** desc: the newest first; asc: the oldest first, and next is always there, so that polling goes on from it. */
  readonly order?: 'asc' | 'desc' | undefined;
};

/** What `listEvents` answers. */
export type ListEventsAnswer = {
  /** The records. */
  readonly records: readonly TrailRecord[];
  readonly page: {
    /** Most records that were asked for. */
    readonly limit: number;
    readonly order: 'asc' | 'desc';
    /** Cursor of the next page; null behind the last. */
    readonly next: string | null;
    /** Whether the next page holds, or may hold, something now. */
    readonly more: boolean;
  };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `getEvent` is asked. */
export type GetEventInput = {
  /** audit.record.id */
  readonly record_id: string;
};

/** What `getEvent` answers. */
export type GetEventAnswer = {
  readonly record: TrailRecord;
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `exportRecords` is asked. */
export type ExportRecordsInput = {
  /** Name of an event, * for any text; may be repeated. */
  readonly event?: readonly string[] | undefined;
  /** Category; may be repeated. */
  readonly category?:
    | readonly (
        | 'risk'
        | 'order'
        | 'trade'
        | 'position'
        | 'account'
        | 'config'
        | 'strategy'
        | 'market'
        | 'api'
        | 'system'
        | 'error'
        | 'daemon'
        | 'performance'
        | 'enforcement'
        | 'alert'
        | 'audit'
      )[]
    | undefined;
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly since?: string | undefined;
  /** Up to and including this time. */
  readonly until?: string | undefined;
  /** Instrument. */
  readonly symbol?: string | undefined;
  /** Account. */
  readonly account?: string | undefined;
  /** Strategy. */
  readonly strategy?: string | undefined;
  /** Trading session. */
  readonly session?: string | undefined;
  /** Execution of a strategy. */
  readonly execution?: string | undefined;
  /** Correlation id. */
  readonly correlation?: string | undefined;
  /** Trace id, or its first 8 characters and more. */
  readonly trace?: string | undefined;
  /** Lowest severity: TRACE, DEBUG, INFO, WARN, ERROR or FATAL. */
  readonly severity?: string | undefined;
  /** Shortest timing.duration_ms. */
  readonly min_duration?: number | undefined;
  /** attribute=value, also != > >= < <= and ~ (contains); may be repeated. */
  readonly where?: readonly string[] | undefined;
  /** Name of the download. */
  readonly name?: string | undefined;
  /** Form of the file. */
  readonly format: 'csv' | 'jsonl' | 'parquet' | 'xlsx';
};

/** What `listReports` answers. */
export type ListReportsAnswer = {
  /** Names. */
  readonly reports: readonly string[];
};

/** What `getReport` is asked. */
export type GetReportInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). Of daily alone: the day. */
  readonly from?: string | undefined;
  /** Up to and including this time. */
  readonly to?: string | undefined;
  /** Instrument. */
  readonly symbol?: string | undefined;
  /** Strategy. */
  readonly strategy?: string | undefined;
  /** Account. */
  readonly account?: string | undefined;
  /** Whether the trail is verified first. */
  readonly verify?: boolean | undefined;
  /** Which report. */
  readonly name: 'daily' | 'trading' | 'system' | 'risk' | 'symbol' | 'errors' | 'alerts' | 'performance' | 'audit';
};

/** What `getReport` answers. */
export type GetReportAnswer = {
  readonly report: string;
  /** Begin as asked for. */
  readonly from: string | null;
  /** End as asked for. */
  readonly to: string | null;
  readonly filters?: { readonly [name: string]: string } | undefined;
  /** Records that it stands on. */
  readonly records: number;
  /** Time of the first. */
  readonly first?: string | null | undefined;
  /** Time of the last. */
  readonly last?: string | null | undefined;
  readonly integrity: Integrity;
  /** Named metrics, or tables. */
  readonly sections: readonly { readonly [name: string]: unknown }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `explain` is asked. */
export type ExplainInput = {
  /** The moment: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). Or a time of day (10:30, UTC): on the last record’s day if trading was halted then, else on the latest day on which a halt began then, or was in force. */
  readonly at?: string | undefined;
  /** Record id. */
  readonly event?: string | undefined;
  /** Order id. */
  readonly order?: string | undefined;
  /** Position, execution or stop id. */
  readonly position?: string | undefined;
  /** Whether the trail is verified as a whole, however large. */
  readonly verify?: boolean | undefined;
};

/** What `explain` answers. */
export type ExplainAnswer = {
  /** The answer in one or a few sentences. */
  readonly answer: string;
  /** The records of the chain, in the order of time. */
  readonly steps: readonly { readonly [name: string]: unknown }[];
  /** How far the records can be trusted. */
  readonly integrity: string;
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `query` is asked. */
export type QueryInput = {
  /** SELECT, WITH, DESCRIBE, SUMMARIZE or EXPLAIN. */
  readonly sql: string;
  /** Values for $name places of the text. */
  readonly parameters?: { readonly [name: string]: string | number | boolean | null } | undefined;
  /** Most rows. */
  readonly limit?: number | undefined;
};

/** What `query` answers. */
export type QueryAnswer = {
  /** Names. */
  readonly columns: readonly string[];
  /** Cells in the order of the columns. */
  readonly rows: readonly (readonly unknown[])[];
  /** Whether there are more rows than were asked for. */
  readonly truncated: boolean;
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `getState` is asked. */
export type GetStateInput = {
  /** The moment: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly at?: string | undefined;
  /** Only this layer; may be repeated. */
  readonly layer?:
    | readonly ('trading_state' | 'circuit_breaker' | 'trailing_stop' | 'portfolio_limits' | 'orders')[]
    | undefined;
};

/** What `getState` answers. */
export type GetStateAnswer = {
  /** The moment; null for the end of the trail. */
  readonly at: string | null;
  /** The state of each process that began on its own. */
  readonly streams: readonly { readonly [name: string]: unknown }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `listUnsettledOrders` answers. */
export type ListUnsettledOrdersAnswer = {
  /** The orders. */
  readonly orders: readonly {
    readonly since: string;
    readonly service: string;
    readonly stream: string;
    /** Venue. */
    readonly venue?: string | null | undefined;
    /** Instrument. */
    readonly symbol?: string | null | undefined;
    /** Side. */
    readonly side?: string | null | undefined;
    /** Quantity, as it was recorded. */
    readonly quantity?: number | string | null | undefined;
    /** Price, as it was recorded. */
    readonly price?: number | string | null | undefined;
    /** Id of the venue. */
    readonly order_id?: string | null | undefined;
    /** Id that was sent along. */
    readonly client_order_id?: string | null | undefined;
    /** none: only the intent was recorded; unknown: no answer came. */
    readonly outcome: 'none' | 'unknown';
    /** The first record of the order. */
    readonly record_id: string;
  }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `getStateDiff` is asked. */
export type GetStateDiffInput = {
  /** The earlier moment. */
  readonly from: string;
  /** The later moment; without it, the end of the trail. */
  readonly to?: string | undefined;
  /** Only this layer; may be repeated. */
  readonly layer?:
    | readonly ('trading_state' | 'circuit_breaker' | 'trailing_stop' | 'portfolio_limits' | 'orders')[]
    | undefined;
};

/** What `getStateDiff` answers. */
export type GetStateDiffAnswer = {
  readonly from: string;
  /** The later moment; null for the end of the trail. */
  readonly to: string | null;
  /** What differs, by stream. */
  readonly streams: readonly {
    readonly stream: string;
    /** Whether there was nothing of it at the earlier moment. */
    readonly began: boolean;
    /** Members that differ. */
    readonly differences: readonly {
      readonly path: string;
      readonly before: unknown;
      readonly after: unknown;
    }[];
  }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `replay` is asked. */
export type ReplayInput = {
  /** A parameter that is other than recorded: breaker.<name>.<option>=value, stops.<option>=value, limits.<limit>.<option>=value; may be repeated. */
  readonly set: readonly string[];
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly from?: string | undefined;
  /** Up to and including this time. */
  readonly to?: string | undefined;
  /** Most decisions that come out otherwise. */
  readonly limit?: number | undefined;
};

/** What `replay` answers. */
export type ReplayAnswer = {
  /** Values by their parameters. */
  readonly parameters: { readonly [name: string]: number | string | boolean | null };
  /** Streams that were replayed. */
  readonly streams?: readonly string[] | undefined;
  readonly record_inputs?: 'changes' | 'all' | 'mixed' | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** halts, reductions, halted_minutes, stops_fired, orders_denied, orders_cut, calls_refused, positions_closed, positions_open, result */
  readonly recorded: { readonly [name: string]: number };
  /** halts, reductions, halted_minutes, stops_fired, orders_denied, orders_cut, calls_refused, positions_closed, positions_open, result */
  readonly replayed: { readonly [name: string]: number };
  /** What was recorded as realised with the trades. */
  readonly realised?: number | undefined;
  /** Decisions that come out otherwise, by time. */
  readonly rows: readonly { readonly [name: string]: unknown }[];
  /** How many there are. */
  readonly row_count: number;
  /** Whether there are more than were asked for. */
  readonly truncated: boolean;
  /** Decisions of which nothing can be known. */
  readonly unknown: number;
  /** Time of the first. */
  readonly first_difference?: string | null | undefined;
  /** What limits the answer. */
  readonly notes: readonly string[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `checkReplay` is asked. */
export type CheckReplayInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly from?: string | undefined;
  /** Up to and including this time. */
  readonly to?: string | undefined;
};

/** What `checkReplay` answers. */
export type CheckReplayAnswer = {
  /** Whether every decision came out the same. */
  readonly ok: boolean;
  /** Decisions that were made again. */
  readonly decisions: number;
  /** By layer. */
  readonly layers: { readonly [name: string]: number };
  /** Inputs that were replayed. */
  readonly inputs: number;
  /** Decisions of which the trail does not hold the input. */
  readonly taken_over: number;
  readonly record_inputs: 'changes' | 'all' | 'mixed';
  /** The first of each layer. */
  readonly differences: readonly { readonly [name: string]: unknown }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `sweepReplay` is asked. */
export type SweepReplayInput = {
  /** Values of a parameter: stops.trailingPct=1..5/0.5 (from, to, step) or =1,2,5; once or twice. */
  readonly sweep: readonly string[];
  /** A parameter that is other than recorded: breaker.<name>.<option>=value, stops.<option>=value, limits.<limit>.<option>=value; may be repeated. */
  readonly set?: readonly string[] | undefined;
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly from?: string | undefined;
  /** Up to and including this time. */
  readonly to?: string | undefined;
};

/** What `sweepReplay` answers. */
export type SweepReplayAnswer = {
  /** The axes. */
  readonly axes: readonly {
    readonly parameter: string;
    readonly values: readonly unknown[];
  }[];
  /** Values by their parameters. */
  readonly fixed: { readonly [name: string]: number | string | boolean | null };
  /** halts, reductions, halted_minutes, stops_fired, orders_denied, orders_cut, calls_refused, positions_closed, positions_open, result */
  readonly recorded: { readonly [name: string]: number };
  /** One for each setting. */
  readonly rows: readonly ({
    /** Values by their parameters. */
    readonly parameters: { readonly [name: string]: number | string | boolean | null };
  } & { readonly [name: string]: unknown })[];
  readonly record_inputs: 'changes' | 'all' | 'mixed';
  readonly from: string;
  readonly to: string;
  /** What limits the answer. */
  readonly notes: readonly string[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `acknowledgeAlert` is asked. */
export type AcknowledgeAlertInput = {
  /** alert.id */
  readonly alert_id: string;
  /** Why. */
  readonly reason: string;
  /** Who; needed where no token tells it. */
  readonly actor?: string | undefined;
};

/** What `acknowledgeAlert` answers. */
export type AcknowledgeAlertAnswer = {
  readonly alert_id: string;
  readonly act: 'acknowledged' | 'resolved' | 'dismissed';
  /** Id of the record that tells of it. */
  readonly record_id: string;
};

/** What `resolveAlert` is asked. */
export type ResolveAlertInput = {
  /** alert.id */
  readonly alert_id: string;
  /** Why. */
  readonly reason: string;
  /** Who; needed where no token tells it. */
  readonly actor?: string | undefined;
};

/** What `resolveAlert` answers. */
export type ResolveAlertAnswer = {
  readonly alert_id: string;
  readonly act: 'acknowledged' | 'resolved' | 'dismissed';
  /** Id of the record that tells of it. */
  readonly record_id: string;
};

/** What `dismissAlert` is asked. */
export type DismissAlertInput = {
  /** alert.id */
  readonly alert_id: string;
  /** Why. */
  readonly reason: string;
  /** Who; needed where no token tells it. */
  readonly actor?: string | undefined;
};

/** What `dismissAlert` answers. */
export type DismissAlertAnswer = {
  readonly alert_id: string;
  readonly act: 'acknowledged' | 'resolved' | 'dismissed';
  /** Id of the record that tells of it. */
  readonly record_id: string;
};

/** What `listAlerts` is asked. */
export type ListAlertsInput = {
  /** How it stands. */
  readonly status?: 'ACTIVE' | 'ACKNOWLEDGED' | 'RESOLVED' | 'DISMISSED' | undefined;
  /** Severity of the alert. */
  readonly severity?: string | undefined;
  /** Rule that raised it. */
  readonly rule?: string | undefined;
  /** Instrument. */
  readonly symbol?: string | undefined;
  /** Most records. */
  readonly limit?: number | undefined;
  /** The cursor that the page before gave as next. */
  readonly cursor?: string | undefined;
};

/** What `listAlerts` answers. */
export type ListAlertsAnswer = {
  /** Alerts as they stand, the newest first. */
  readonly alerts: readonly { readonly [name: string]: unknown }[];
  readonly page: {
    /** Most alerts. */
    readonly limit: number;
    /** Cursor of the next page. */
    readonly next: string | null;
  };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `listAlertRules` answers. */
export type ListAlertRulesAnswer = {
  /** The rules. */
  readonly rules: readonly ({
    readonly id: string;
    readonly title: string;
    readonly type: string;
    readonly severity: string;
    /** What is measured. */
    readonly measure: { readonly [name: string]: unknown };
    /** When it is raised. */
    readonly condition: { readonly [name: string]: unknown };
    /** Events of so long are measured. */
    readonly windowMs: number;
    /** How long the condition must hold. */
    readonly forMs: number;
    /** Page below docs/runbooks, without its ending. */
    readonly runbook: string;
  } & { readonly [name: string]: unknown })[];
};

/** What `evaluateAlerts` is asked. */
export type EvaluateAlertsInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly since?: string | undefined;
  /** Up to and including this time. */
  readonly until?: string | undefined;
  /** Only what this rule raises; may be repeated. */
  readonly rule?: readonly string[] | undefined;
};

/** What `evaluateAlerts` answers. */
export type EvaluateAlertsAnswer = {
  /** Records that the rules saw. */
  readonly records: number;
  /** Ids of the rules that were asked for. */
  readonly rules: readonly string[];
  /** What was raised, in that order. */
  readonly alerts: readonly {
    readonly raised_at: string;
    /** Null where it stood at the end. */
    readonly resolved_at: string | null;
    readonly rule: string;
    readonly type: string;
    readonly severity: string;
    readonly title: string;
    readonly message: string;
    readonly service: string;
    /** What it is about. */
    readonly group?: { readonly [name: string]: string } | undefined;
    /** The measured value. */
    readonly value?: number | undefined;
    /** Record ids of the newest events behind it. */
    readonly events: readonly string[];
  }[];
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
};

/** What `getStatus` answers. */
export type GetStatusAnswer = {
  /** How each stream stands. */
  readonly streams: readonly { readonly [name: string]: unknown }[];
  /** Free bytes of the volume. */
  readonly diskFreeBytes: number;
  /** What an operator should look at. */
  readonly concerns: readonly string[];
  readonly integrity: Integrity;
};

/** What `verify` is asked. */
export type VerifyInput = {
  /** A verifier key as verifier.vkey has it, name+hash+key, so that it need not be the one beside the trail; may be repeated. */
  readonly vkey?: readonly string[] | undefined;
  /** Whether an unsigned tail, an open stream and a torn last line are findings, too. */
  readonly strict?: boolean | undefined;
  /** Whether each snapshot of the risk state is compared with what the events before it come to. */
  readonly semantic?: boolean | undefined;
};

/** What `verify` answers. */
export type VerifyAnswer = {
  readonly ok: boolean;
  readonly keySource: string;
  /** What was found of each stream. */
  readonly streams: readonly { readonly [name: string]: unknown }[];
  /** With semantic: what comparing the snapshots came to. */
  readonly semantic?:
    | {
        readonly ok: boolean;
        /** Snapshots that were compared. */
        readonly compared: number;
        /** Snapshots that disagree. */
        readonly findings: readonly { readonly [name: string]: unknown }[];
        /** Events of a newer version, which could not be folded. */
        readonly unreadable: number;
      }
    | undefined;
};

/** What `proveRecord` is asked. */
export type ProveRecordInput = {
  /** audit.stream or its UUID, where a number may be of several. */
  readonly stream?: string | undefined;
  /** Size of the checkpoint to lead to; the newest unless given. */
  readonly size?: number | undefined;
  /** A verifier key as verifier.vkey has it, name+hash+key, so that it need not be the one beside the trail; may be repeated. */
  readonly vkey?: readonly string[] | undefined;
  /** audit.record.id, or the sequence number. */
  readonly record: string;
};

/** What `proveRecord` answers. */
export type ProveRecordAnswer = {
  readonly stream: string;
  /** Number of the record. */
  readonly sequence: number;
  /** Id of the record: names both files. */
  readonly record_id: string | null;
  /** Size of the checkpoint that the proof leads to. */
  readonly size: number;
  /** Content of the file *.tlog-proof. */
  readonly proof: string;
  /** Content of the file *.json: the record’s canonical text. */
  readonly record: string;
};

/** What `proveConsistency` is asked. */
export type ProveConsistencyInput = {
  /** A checkpoint: its size, newest, or the text of one that was kept elsewhere. */
  readonly old: string;
  /** A checkpoint: its size, newest, or the text of one that was kept elsewhere. */
  readonly new?: string | undefined;
  /** audit.stream or its UUID, where a size may be of several. */
  readonly stream?: string | undefined;
  /** A verifier key as verifier.vkey has it, name+hash+key, so that it need not be the one beside the trail; may be repeated. */
  readonly vkey?: readonly string[] | undefined;
};

/** What `proveConsistency` answers. */
export type ProveConsistencyAnswer = {
  readonly stream: string;
  /** Size of the older checkpoint. */
  readonly old_size: number;
  /** Size of the newer one. */
  readonly new_size: number;
  /** Content of the file *.consistency-proof. */
  readonly proof: string;
};

/** What `listKeys` answers. */
export type ListKeysAnswer = {
  /** The keys, newest first. */
  readonly keys: readonly {
    /** name+hash+key, as vkey takes it. */
    readonly vkey: string;
    /** Whether it is the one that signs now. */
    readonly signs: boolean;
  }[];
  /** The statements by which one key follows another. */
  readonly handovers: readonly {
    /** Name of the statement. */
    readonly file: string;
    /** When it was made. */
    readonly time: string | null;
    /** The key that hands over. */
    readonly old_vkey: string | null;
    /** The key that follows; null where not both signed. */
    readonly new_vkey: string | null;
  }[];
};

/** What `listCatalogue` is asked. */
export type ListCatalogueInput = {
  /** Name, * for any text. */
  readonly event?: string | undefined;
};

/** What `listCatalogue` answers. */
export type ListCatalogueAnswer = {
  /** The events. */
  readonly events: readonly {
    readonly event: string;
    readonly class: string;
    readonly severity: string;
    /** Categories. */
    readonly category: readonly string[];
    readonly brief: string;
  }[];
};

/** What `getEventSchema` is asked. */
export type GetEventSchemaInput = {
  /** Name of the event. */
  readonly event: string;
};

/** What `getEventSchema` answers. */
export type GetEventSchemaAnswer = { readonly [name: string]: unknown };

/** What `auditDailyReport` is asked. */
export type AuditDailyReportInput = {
  /** The day, 2024-01-15. Without it, the last day of the trail. */
  readonly date?: string | undefined;
};

/** What `auditDailyReport` answers. */
export type AuditDailyReportAnswer = {
  /** The day; null where the trail is empty. */
  readonly date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditTradingMetrics` is asked. */
export type AuditTradingMetricsInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
};

/** What `auditTradingMetrics` answers. */
export type AuditTradingMetricsAnswer = {
  /** Begin of the range. */
  readonly start_date: string | null;
  /** End of the range. */
  readonly end_date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditSystemMetrics` is asked. */
export type AuditSystemMetricsInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
};

/** What `auditSystemMetrics` answers. */
export type AuditSystemMetricsAnswer = {
  /** Begin of the range. */
  readonly start_date: string | null;
  /** End of the range. */
  readonly end_date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditRiskMetrics` is asked. */
export type AuditRiskMetricsInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
};

/** What `auditRiskMetrics` answers. */
export type AuditRiskMetricsAnswer = {
  /** Begin of the range. */
  readonly start_date: string | null;
  /** End of the range. */
  readonly end_date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditSymbolPerformance` is asked. */
export type AuditSymbolPerformanceInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
};

/** What `auditSymbolPerformance` answers. */
export type AuditSymbolPerformanceAnswer = {
  /** Begin of the range. */
  readonly start_date: string | null;
  /** End of the range. */
  readonly end_date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditErrorSummary` is asked. */
export type AuditErrorSummaryInput = {
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
};

/** What `auditErrorSummary` answers. */
export type AuditErrorSummaryAnswer = {
  /** Begin of the range. */
  readonly start_date: string | null;
  /** End of the range. */
  readonly end_date: string | null;
  /** Records that the values stand on. */
  readonly records: number;
  /** Why a value is null, by its name. */
  readonly undefined: { readonly [name: string]: string };
  /** Why the records should not be trusted as they are; null where they were verified. */
  readonly warning: string | null;
} & { readonly [name: string]: unknown };

/** What `auditExportLogs` is asked. */
export type AuditExportLogsInput = {
  /** Name of the download. */
  readonly output_file?: string | undefined;
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly start_date?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly end_date?: string | undefined;
  /** Names of events, also in the older form: trade_entry, TRADE_EXIT. */
  readonly event_types?: readonly string[] | undefined;
};

/** What `getHealth` answers. */
export type GetHealthAnswer = {
  readonly status: 'ok' | 'degraded';
  readonly version: string;
  readonly integrity?: Integrity | undefined;
  /** What an operator should look at. */
  readonly concerns?: readonly string[] | undefined;
};

/** What `getDoctor` answers. */
export type GetDoctorAnswer = {
  /** The worst of them. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** The checks. */
  readonly checks: readonly {
    readonly name: string;
    readonly status: 'ok' | 'warn' | 'fail';
    readonly found: string;
    /** What to do about it; absent where all is well. */
    readonly fix?: string | undefined;
  }[];
};

/** What `tail` is asked. */
export type TailInput = {
  /** Name of an event, * for any text; may be repeated. */
  readonly event?: readonly string[] | undefined;
  /** Category; may be repeated. */
  readonly category?:
    | readonly (
        | 'risk'
        | 'order'
        | 'trade'
        | 'position'
        | 'account'
        | 'config'
        | 'strategy'
        | 'market'
        | 'api'
        | 'system'
        | 'error'
        | 'daemon'
        | 'performance'
        | 'enforcement'
        | 'alert'
        | 'audit'
      )[]
    | undefined;
  /** From this time on: a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone) or how far back (15m, 24h, 7d). */
  readonly since?: string | undefined;
  /** Up to and including this time. */
  readonly until?: string | undefined;
  /** Instrument. */
  readonly symbol?: string | undefined;
  /** Account. */
  readonly account?: string | undefined;
  /** Strategy. */
  readonly strategy?: string | undefined;
  /** Trading session. */
  readonly session?: string | undefined;
  /** Execution of a strategy. */
  readonly execution?: string | undefined;
  /** Correlation id. */
  readonly correlation?: string | undefined;
  /** Trace id, or its first 8 characters and more. */
  readonly trace?: string | undefined;
  /** Lowest severity: TRACE, DEBUG, INFO, WARN, ERROR or FATAL. */
  readonly severity?: string | undefined;
  /** Shortest timing.duration_ms. */
  readonly min_duration?: number | undefined;
  /** attribute=value, also != > >= < <= and ~ (contains); may be repeated. */
  readonly where?: readonly string[] | undefined;
  /** How many that are already there come first; without Last-Event-ID. */
  readonly last?: number | undefined;
};

/** A client of one server. Every method throws {@link RiskTrailApiError} where the answer is a problem. */
export class RiskTrailClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** The records that match, a page at a time. Pages are ordered by time, then stream and number, and each record is in one page. A page may hold fewer records than asked for where little matches: go on with next while more is true. */
  listEvents(input: ListEventsInput = {}, options: CallOptions = {}): Promise<ListEventsAnswer> {
    return this.#json<ListEventsAnswer>(
      'GET',
      '/v1/events',
      input,
      {
        path: [],
        query: [
          'event',
          'category',
          'since',
          'until',
          'symbol',
          'account',
          'strategy',
          'session',
          'execution',
          'correlation',
          'trace',
          'severity',
          'min_duration',
          'where',
          'limit',
          'cursor',
          'order',
        ],
        hasBody: false,
      },
      options,
    );
  }

  /** One record by its id. */
  getEvent(input: GetEventInput, options: CallOptions = {}): Promise<GetEventAnswer> {
    return this.#json<GetEventAnswer>(
      'GET',
      '/v1/events/{record_id}',
      input,
      { path: ['record_id'], query: [], hasBody: false },
      options,
    );
  }

  /** The records that match, as a file. */
  exportRecords(input: ExportRecordsInput, options: CallOptions = {}): Promise<Response> {
    return this.#stream(
      'GET',
      '/v1/export/{format}',
      input,
      {
        path: ['format'],
        query: [
          'event',
          'category',
          'since',
          'until',
          'symbol',
          'account',
          'strategy',
          'session',
          'execution',
          'correlation',
          'trace',
          'severity',
          'min_duration',
          'where',
          'name',
        ],
        hasBody: false,
      },
      options,
    );
  }

  /** Names of the reports. */
  listReports(options: CallOptions = {}): Promise<ListReportsAnswer> {
    return this.#json<ListReportsAnswer>('GET', '/v1/reports', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** A report: metrics with their conventions, and tables. */
  getReport(input: GetReportInput, options: CallOptions = {}): Promise<GetReportAnswer> {
    return this.#json<GetReportAnswer>(
      'GET',
      '/v1/reports/{name}',
      input,
      { path: ['name'], query: ['from', 'to', 'symbol', 'strategy', 'account', 'verify'], hasBody: false },
      options,
    );
  }

  /** Why trading was halted at a time, or what led to an event, an order or a position. Exactly one of at, event, order and position. */
  explain(input: ExplainInput = {}, options: CallOptions = {}): Promise<ExplainAnswer> {
    return this.#json<ExplainAnswer>(
      'GET',
      '/v1/explain',
      input,
      { path: [], query: ['at', 'event', 'order', 'position', 'verify'], hasBody: false },
      options,
    );
  }

  /** One SQL statement that only reads, over the views of the trail. The views and their columns are those of risktrail query. Nothing but the trail can be read, and nothing written. */
  query(input: QueryInput, options: CallOptions = {}): Promise<QueryAnswer> {
    return this.#json<QueryAnswer>('POST', '/v1/query', input, { path: [], query: [], hasBody: true }, options);
  }

  /** The state of every risk layer, now or at any moment. */
  getState(input: GetStateInput = {}, options: CallOptions = {}): Promise<GetStateAnswer> {
    return this.#json<GetStateAnswer>(
      'GET',
      '/v1/state',
      input,
      { path: [], query: ['at', 'layer'], hasBody: false },
      options,
    );
  }

  /** Orders whose outcome nobody recorded: they may stand at the venue. */
  listUnsettledOrders(options: CallOptions = {}): Promise<ListUnsettledOrdersAnswer> {
    return this.#json<ListUnsettledOrdersAnswer>(
      'GET',
      '/v1/reconcile-orders',
      {},
      { path: [], query: [], hasBody: false },
      options,
    );
  }

  /** What differs between the state at two moments. */
  getStateDiff(input: GetStateDiffInput, options: CallOptions = {}): Promise<GetStateDiffAnswer> {
    return this.#json<GetStateDiffAnswer>(
      'GET',
      '/v1/state/diff',
      input,
      { path: [], query: ['from', 'to', 'layer'], hasBody: false },
      options,
    );
  }

  /** What would have come of other parameters, beside what was recorded. Answers under other parameters are exact where the trail was recorded with recordInputs all, else bounds. It is made in a thread of its own, within bounds of time and memory; who goes away ends it. */
  replay(input: ReplayInput, options: CallOptions = {}): Promise<ReplayAnswer> {
    return this.#json<ReplayAnswer>(
      'GET',
      '/v1/replay',
      input,
      { path: [], query: ['set', 'from', 'to', 'limit'], hasBody: false },
      options,
    );
  }

  /** Does every recorded decision follow from the recorded inputs? */
  checkReplay(input: CheckReplayInput = {}, options: CallOptions = {}): Promise<CheckReplayAnswer> {
    return this.#json<CheckReplayAnswer>(
      'GET',
      '/v1/replay/check',
      input,
      { path: [], query: ['from', 'to'], hasBody: false },
      options,
    );
  }

  /** The figures of a replay for every combination of one or two parameters’ values. Answers under other parameters are exact where the trail was recorded with recordInputs all, else bounds. It is made in a thread of its own, within bounds of time and memory; who goes away ends it. The page with its heat maps is /replay/sweep. */
  sweepReplay(input: SweepReplayInput, options: CallOptions = {}): Promise<SweepReplayAnswer> {
    return this.#json<SweepReplayAnswer>(
      'GET',
      '/v1/replay/sweep',
      input,
      { path: [], query: ['sweep', 'set', 'from', 'to'], hasBody: false },
      options,
    );
  }

  /** Records that an open alert was acknowledged, by whom and why: an event of its service in the trail. */
  acknowledgeAlert(input: AcknowledgeAlertInput, options: CallOptions = {}): Promise<AcknowledgeAlertAnswer> {
    return this.#json<AcknowledgeAlertAnswer>(
      'POST',
      '/v1/alerts/{alert_id}/acknowledge',
      input,
      { path: ['alert_id'], query: [], hasBody: true },
      options,
    );
  }

  /** Records that an open alert was resolved, by whom and why: an event of its service in the trail. */
  resolveAlert(input: ResolveAlertInput, options: CallOptions = {}): Promise<ResolveAlertAnswer> {
    return this.#json<ResolveAlertAnswer>(
      'POST',
      '/v1/alerts/{alert_id}/resolve',
      input,
      { path: ['alert_id'], query: [], hasBody: true },
      options,
    );
  }

  /** Records that an open alert was dismissed, by whom and why: an event of its service in the trail. */
  dismissAlert(input: DismissAlertInput, options: CallOptions = {}): Promise<DismissAlertAnswer> {
    return this.#json<DismissAlertAnswer>(
      'POST',
      '/v1/alerts/{alert_id}/dismiss',
      input,
      { path: ['alert_id'], query: [], hasBody: true },
      options,
    );
  }

  /** Alerts as they stand, the newest first. */
  listAlerts(input: ListAlertsInput = {}, options: CallOptions = {}): Promise<ListAlertsAnswer> {
    return this.#json<ListAlertsAnswer>(
      'GET',
      '/v1/alerts',
      input,
      { path: [], query: ['status', 'severity', 'rule', 'symbol', 'limit', 'cursor'], hasBody: false },
      options,
    );
  }

  /** The rules of alerts, with the thresholds that the server was started with. */
  listAlertRules(options: CallOptions = {}): Promise<ListAlertRulesAnswer> {
    return this.#json<ListAlertRulesAnswer>(
      'GET',
      '/v1/alerts/rules',
      {},
      { path: [], query: [], hasBody: false },
      options,
    );
  }

  /** What the rules raise over the records of the trail, each at its own time. It is made in a thread of its own, within bounds of time and memory; who goes away ends it. */
  evaluateAlerts(input: EvaluateAlertsInput = {}, options: CallOptions = {}): Promise<EvaluateAlertsAnswer> {
    return this.#json<EvaluateAlertsAnswer>(
      'GET',
      '/v1/alerts/evaluate',
      input,
      { path: [], query: ['since', 'until', 'rule'], hasBody: false },
      options,
    );
  }

  /** How the trail stands: what is signed, shipped, waiting or refused. */
  getStatus(options: CallOptions = {}): Promise<GetStatusAnswer> {
    return this.#json<GetStatusAnswer>('GET', '/v1/status', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** Is the trail whole, unchanged and signed? The whole trail is read, unless it was and nothing has changed since. The keys are those beside the trail, unless vkey gives others. */
  verify(input: VerifyInput = {}, options: CallOptions = {}): Promise<VerifyAnswer> {
    return this.#json<VerifyAnswer>(
      'GET',
      '/v1/verify',
      input,
      { path: [], query: ['vkey', 'strict', 'semantic'], hasBody: false },
      options,
    );
  }

  /** The proof that a record is in the trail, for somebody who does not have the trail. */
  proveRecord(input: ProveRecordInput, options: CallOptions = {}): Promise<ProveRecordAnswer> {
    return this.#json<ProveRecordAnswer>(
      'GET',
      '/v1/prove/{record}',
      input,
      { path: ['record'], query: ['stream', 'size', 'vkey'], hasBody: false },
      options,
    );
  }

  /** The proof that a newer checkpoint goes on from an older one: nothing below the older was changed or removed. */
  proveConsistency(input: ProveConsistencyInput, options: CallOptions = {}): Promise<ProveConsistencyAnswer> {
    return this.#json<ProveConsistencyAnswer>(
      'GET',
      '/v1/consistency',
      input,
      { path: [], query: ['old', 'new', 'stream', 'vkey'], hasBody: false },
      options,
    );
  }

  /** The verifier keys of the data directory, newest first, and how they follow one another. They are public. A key that comes from the same place as the trail shows that it is consistent with itself, not who signed it. */
  listKeys(options: CallOptions = {}): Promise<ListKeysAnswer> {
    return this.#json<ListKeysAnswer>('GET', '/v1/keys', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** The events of the catalogue. */
  listCatalogue(input: ListCatalogueInput = {}, options: CallOptions = {}): Promise<ListCatalogueAnswer> {
    return this.#json<ListCatalogueAnswer>(
      'GET',
      '/v1/catalogue',
      input,
      { path: [], query: ['event'], hasBody: false },
      options,
    );
  }

  /** The JSON Schema of an event; "event" is that of every record. */
  getEventSchema(input: GetEventSchemaInput, options: CallOptions = {}): Promise<GetEventSchemaAnswer> {
    return this.#json<GetEventSchemaAnswer>(
      'GET',
      '/v1/catalogue/{event}',
      input,
      { path: ['event'], query: [], hasBody: false },
      options,
    );
  }

  /** Everything about one day. */
  auditDailyReport(input: AuditDailyReportInput = {}, options: CallOptions = {}): Promise<AuditDailyReportAnswer> {
    return this.#json<AuditDailyReportAnswer>(
      'GET',
      '/audit/daily_report',
      input,
      { path: [], query: ['date'], hasBody: false },
      options,
    );
  }

  /** What the closed trades came to. */
  auditTradingMetrics(
    input: AuditTradingMetricsInput = {},
    options: CallOptions = {},
  ): Promise<AuditTradingMetricsAnswer> {
    return this.#json<AuditTradingMetricsAnswer>(
      'GET',
      '/audit/trading_metrics',
      input,
      { path: [], query: ['start_date', 'end_date'], hasBody: false },
      options,
    );
  }

  /** Errors, health checks and API calls. */
  auditSystemMetrics(
    input: AuditSystemMetricsInput = {},
    options: CallOptions = {},
  ): Promise<AuditSystemMetricsAnswer> {
    return this.#json<AuditSystemMetricsAnswer>(
      'GET',
      '/audit/system_metrics',
      input,
      { path: [], query: ['start_date', 'end_date'], hasBody: false },
      options,
    );
  }

  /** Violations, rejections, stops and breakers. */
  auditRiskMetrics(input: AuditRiskMetricsInput = {}, options: CallOptions = {}): Promise<AuditRiskMetricsAnswer> {
    return this.#json<AuditRiskMetricsAnswer>(
      'GET',
      '/audit/risk_metrics',
      input,
      { path: [], query: ['start_date', 'end_date'], hasBody: false },
      options,
    );
  }

  /** Trades and results by symbol. */
  auditSymbolPerformance(
    input: AuditSymbolPerformanceInput = {},
    options: CallOptions = {},
  ): Promise<AuditSymbolPerformanceAnswer> {
    return this.#json<AuditSymbolPerformanceAnswer>(
      'GET',
      '/audit/symbol_performance',
      input,
      { path: [], query: ['start_date', 'end_date'], hasBody: false },
      options,
    );
  }

  /** How many errors, and which. */
  auditErrorSummary(input: AuditErrorSummaryInput = {}, options: CallOptions = {}): Promise<AuditErrorSummaryAnswer> {
    return this.#json<AuditErrorSummaryAnswer>(
      'GET',
      '/audit/error_summary',
      input,
      { path: [], query: ['start_date', 'end_date'], hasBody: false },
      options,
    );
  }

  /** The records of a range as a CSV file. output_file is the name that the download has; nothing is written on the server. */
  auditExportLogs(input: AuditExportLogsInput = {}, options: CallOptions = {}): Promise<Response> {
    return this.#stream('POST', '/audit/export_logs', input, { path: [], query: [], hasBody: true }, options);
  }

  /** Whether the server lives, and how the trail stands. Needs no token; what the trail looks like is told to those who may read it. */
  getHealth(options: CallOptions = {}): Promise<GetHealthAnswer> {
    return this.#json<GetHealthAnswer>('GET', '/health', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** Figures of the trail, the risk layers and the server, for Prometheus. */
  getMetrics(options: CallOptions = {}): Promise<string> {
    return this.#text('GET', '/metrics', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** Whether this machine and the data directory are as they should be, and what to do where not. No other host is asked: risktrail doctor asks the servers behind the trail. */
  getDoctor(options: CallOptions = {}): Promise<GetDoctorAnswer> {
    return this.#json<GetDoctorAnswer>('GET', '/v1/doctor', {}, { path: [], query: [], hasBody: false }, options);
  }

  /** New records as they are written: server-sent events named record. Each event has the record as JSON, and an id to go on from: give it as Last-Event-ID, as browsers do by themselves, and what was written meanwhile comes first. */
  tail(input: TailInput = {}, options: CallOptions = {}): AsyncGenerator<TailEvent, void, undefined> {
    return this.#events(
      'GET',
      '/v1/tail',
      input,
      {
        path: [],
        query: [
          'event',
          'category',
          'since',
          'until',
          'symbol',
          'account',
          'strategy',
          'session',
          'execution',
          'correlation',
          'trace',
          'severity',
          'min_duration',
          'where',
          'last',
        ],
        hasBody: false,
      },
      options,
    );
  }

  async #ask(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<Response> {
    const values = input as { readonly [name: string]: unknown };
    const address = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
    const url = new URL(address, this.#options.baseUrl);
    for (const name of places.query) {
      const value = values[name];
      if (value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
    }
    const inAddress = new Set([...places.path, ...places.query]);
    const body = Object.fromEntries(Object.entries(values).filter(([name]) => !inAddress.has(name)));
    const { token, fetch: ask = fetch } = this.#options;
    const response = await ask(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(places.hasBody ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(places.hasBody ? { body: JSON.stringify(body) } : {}),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (response.ok) return response;
    throw new RiskTrailApiError(response.status, await problemIn(response));
  }

  async #json<T>(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<T> {
    return (await (await this.#ask(method, path, input, places, options)).json()) as T;
  }

  async #text(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<string> {
    return (await this.#ask(method, path, input, places, options)).text();
  }

  #stream(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<Response> {
    return this.#ask(method, path, input, places, options);
  }

  async *#events(
    method: string,
    path: string,
    input: object,
    places: Places,
    options: CallOptions,
  ): AsyncGenerator<TailEvent, void, undefined> {
    const { body } = await this.#ask(method, path, input, places, options);
    if (body === null) return;
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = new Map(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => [line.split(': ', 1)[0] as string, line.slice(line.indexOf(': ') + 2)]),
        );
        text = text.slice(end + 2);
        const data = fields.get('data');
        if (data !== undefined) yield { id: fields.get('id') ?? '', record: JSON.parse(data) as TrailRecord };
      }
    }
  }
}

async function problemIn(response: Response): Promise<Problem> {
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.code === 'string') return problem;
  } catch {
    // Told below.
  }
  const { status, statusText } = response;
  return {
    type: 'about:blank',
    title: statusText,
    status,
    detail: `the server answered ${status} ${statusText}`,
    code: 'UNKNOWN',
  };
}
