/**
 * The health of the trail as OpenTelemetry metrics: observed when a reader collects, so that it costs nothing where no meter
 * provider is registered. Names and units after the semantic conventions for an SDK's own metrics.
 * https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/
 */
import { type BatchObservableResult, metrics, type Observable } from '@opentelemetry/api';
import { VERSION } from '../version.ts';

/** What is observed. A figure that is absent is not observed. */
export interface HealthFigures {
  /** Records in the stream. */
  readonly records?: number | undefined;
  /** Bytes appended. */
  readonly bytes?: number | undefined;
  /** Events that could not be recorded. */
  readonly lostRecords?: number | undefined;
  /** Records that wait in memory because they could not be written yet. */
  readonly waitingRecords?: number | undefined;
  /** Records that no signed checkpoint covers. */
  readonly uncheckpointed?: number | undefined;
  /** Age of the newest checkpoint, in seconds. */
  readonly checkpointAgeSeconds?: number | undefined;
  /** Free bytes on the volume of the data directory. */
  readonly diskFreeBytes?: number | undefined;
  /** Records that are not shipped yet, their bytes, and the age of the oldest in seconds. */
  readonly backlogRecords?: number | undefined;
  readonly backlogBytes?: number | undefined;
  readonly backlogSeconds?: number | undefined;
  /** Records that were delivered, and those that the receiver refused for good. */
  readonly sentRecords?: number | undefined;
  readonly rejectedRecords?: number | undefined;
  /** Telemetry that exporters or full queues lost. */
  readonly droppedSpans?: number | undefined;
  readonly droppedLogs?: number | undefined;
  /** Our own failures, none of which reached trading code. */
  readonly failures?: number | undefined;
}

interface MetricDefinition {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly unit: string;
  readonly description: string;
}

/** One metric for each figure. Counters never fall. */
const METRICS: { readonly [K in keyof Required<HealthFigures>]: MetricDefinition } = {
  records: counter('risktrail.journal.records', '{record}', 'Records in the audit stream'),
  bytes: counter('risktrail.journal.size', 'By', 'Bytes appended to the audit journal'),
  lostRecords: counter('risktrail.journal.lost', '{record}', 'Audit events that could not be recorded'),
  waitingRecords: gauge(
    'risktrail.journal.waiting',
    '{record}',
    'Audit records in memory that could not be written yet',
  ),
  uncheckpointed: gauge('risktrail.journal.uncheckpointed', '{record}', 'Audit records without a signed checkpoint'),
  checkpointAgeSeconds: gauge('risktrail.journal.checkpoint.age', 's', 'Age of the newest signed checkpoint'),
  diskFreeBytes: gauge('risktrail.journal.disk.free', 'By', 'Free bytes on the volume of the data directory'),
  backlogRecords: gauge('risktrail.shipper.backlog', '{record}', 'Audit records that are not shipped yet'),
  backlogBytes: gauge('risktrail.shipper.backlog.size', 'By', 'Bytes of audit records that are not shipped yet'),
  backlogSeconds: gauge('risktrail.shipper.backlog.age', 's', 'Age of the oldest audit record that is not shipped yet'),
  sentRecords: counter('risktrail.shipper.sent', '{record}', 'Audit records that the receiver acknowledged'),
  rejectedRecords: counter(
    'risktrail.shipper.rejected',
    '{record}',
    'Audit records that the receiver refused for good',
  ),
  droppedSpans: counter('risktrail.telemetry.dropped.spans', '{span}', 'Spans that exporters or full queues lost'),
  droppedLogs: counter('risktrail.telemetry.dropped.logs', '{record}', 'Telemetry records that were lost'),
  failures: counter(
    'risktrail.failures',
    '{failure}',
    'Failures of risktrail itself, none of which reached trading code',
  ),
};

function counter(name: string, unit: string, description: string): MetricDefinition {
  return { name, kind: 'counter', unit, description };
}

function gauge(name: string, unit: string, description: string): MetricDefinition {
  return { name, kind: 'gauge', unit, description };
}

/**
 * Registers the metrics with the global meter provider, where there is one.
 * @param read called at each collection; a throw is reported and nothing is observed
 * @returns takes the metrics back
 */
export function observeHealth(
  read: () => HealthFigures,
  report: (error: unknown, where: string) => void,
): { dispose(): void } {
  const where = 'health metrics';
  try {
    const meter = metrics.getMeter('risktrail', VERSION);
    const instruments = Object.entries(METRICS).map(([figure, { name, kind, unit, description }]) => {
      const options = { unit, description };
      const instrument: Observable =
        kind === 'counter' ? meter.createObservableCounter(name, options) : meter.createObservableGauge(name, options);
      return [figure as keyof HealthFigures, instrument] as const;
    });
    const observe = (result: BatchObservableResult): void => {
      try {
        const figures = read();
        for (const [figure, instrument] of instruments) {
          const value = figures[figure];
          if (value !== undefined) result.observe(instrument, value);
        }
      } catch (error) {
        report(error, where);
      }
    };
    const observed = instruments.map(([, instrument]) => instrument);
    meter.addBatchObservableCallback(observe, observed);
    return {
      dispose() {
        try {
          meter.removeBatchObservableCallback(observe, observed);
        } catch (error) {
          report(error, where);
        }
      },
    };
  } catch (error) {
    report(error, where);
    return { dispose() {} };
  }
}
