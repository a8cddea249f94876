import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { type HealthFigures, observeHealth } from '../../src/telemetry/health-metrics.ts';

afterEach(() => metrics.disable());

function collectWith(read: () => HealthFigures) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  const errors: string[] = [];
  const observed = observeHealth(read, (error) => void errors.push(String(error)));
  const collect = async () => {
    exporter.reset();
    await reader.forceFlush();
    const found = exporter.getMetrics().flatMap((one) => one.scopeMetrics.flatMap((scope) => scope.metrics));
    return Object.fromEntries(
      found
        .filter((metric) => metric.dataPoints.length > 0)
        .map((metric) => [metric.descriptor.name, [metric.dataPoints[0]?.value, metric.descriptor.unit]]),
    );
  };
  return { collect, errors, observed };
}

describe('health as metrics', () => {
  it('is observed at each collection, with its unit; what is unknown is left out', async () => {
    let records = 5;
    const { collect, observed } = collectWith(() => ({ records: records++, backlogSeconds: 1.5, lostRecords: 0 }));
    expect(await collect()).toEqual({
      'risktrail.journal.records': [5, '{record}'],
      'risktrail.shipper.backlog.age': [1.5, 's'],
      'risktrail.journal.lost': [0, '{record}'],
    });
    expect((await collect())['risktrail.journal.records']).toEqual([6, '{record}']);
    observed.dispose();
    await collect();
    expect(records).toBe(7);
  });

  it('reports what fails and observes nothing', async () => {
    const { collect, errors } = collectWith(() => {
      throw new Error('no figures');
    });
    expect(await collect()).toEqual({});
    expect(errors).toEqual(['Error: no figures']);
  });

  it('costs nothing and fails nothing without a meter provider', () => {
    const errors: unknown[] = [];
    observeHealth(
      () => ({}),
      (error) => errors.push(error),
    ).dispose();
    expect(errors).toEqual([]);
  });
});
