import { ExportResultCode } from '@opentelemetry/core';
import { describe, expect, it } from 'vitest';
import { Batcher, DEFAULT_BATCH_LIMITS } from '../../../src/telemetry/batch.ts';
import { type Exporter, LazyExporter, withVariablesOf } from '../../../src/telemetry/lazy-exporter.ts';

function kept() {
  const calls: string[] = [];
  const exporter: Exporter<readonly string[]> = {
    export(items, done) {
      calls.push(`export ${items.join()}`);
      done({ code: ExportResultCode.SUCCESS });
    },
    async forceFlush() {
      calls.push('flush');
    },
    async shutdown() {
      calls.push('shutdown');
    },
  };
  return { calls, exporter };
}

describe('an exporter that is loaded late', () => {
  it('is loaded with the first export, once', async () => {
    const { calls, exporter } = kept();
    let loads = 0;
    const lazy = new LazyExporter<readonly string[]>(async () => {
      loads++;
      return exporter;
    });
    expect(loads).toBe(0);
    const results = ['a', 'b'].map((item) => new Promise((resolve) => lazy.export([item], resolve)));
    expect(await Promise.all(results)).toEqual([{ code: 0 }, { code: 0 }]);
    await lazy.forceFlush();
    await lazy.shutdown();
    expect(loads).toBe(1);
    expect(calls).toEqual(['export a', 'export b', 'flush', 'shutdown']);
  });

  it('is never loaded where nothing was exported', async () => {
    const lazy = new LazyExporter(() => Promise.reject(new Error('loaded')));
    await lazy.forceFlush();
    await lazy.shutdown();
  });

  it('fails each export, and nothing else, where it can not be loaded', async () => {
    const lazy = new LazyExporter<readonly string[]>(() => Promise.reject(new Error('no such package')));
    lazy.prepare();
    const result = await new Promise((resolve) => lazy.export(['a'], resolve));
    expect(result).toMatchObject({ code: ExportResultCode.FAILED, error: { message: 'no such package' } });
    await lazy.forceFlush();
    await lazy.shutdown();
  });

  it('is loaded while the first batch fills, and what is handed in meanwhile arrives', async () => {
    const { calls, exporter } = kept();
    let loaded = false;
    const lazy = new LazyExporter<string[]>(async () => {
      loaded = true;
      return exporter;
    });
    const reports: unknown[] = [];
    const batcher = new Batcher<string>(lazy, DEFAULT_BATCH_LIMITS, 'things', (error) => reports.push(error));
    batcher.add('a');
    expect(loaded).toBe(true);
    batcher.add('b');
    await batcher.shutdown(10_000);
    expect(calls).toEqual(['export a,b', 'flush', 'shutdown']);
    expect([batcher.dropped, reports]).toEqual([0, []]);
  });
});

describe('what is made later', () => {
  it('finds the variables of exporters as they were, and leaves those of the process as they are', () => {
    const name = 'OTEL_EXPORTER_OTLP_HEADERS';
    const make = withVariablesOf({ [name]: 'key=secret', OTHER: 'before' }, (argument: string) => [
      argument,
      process.env[name],
      process.env['OTHER'],
    ]);
    expect(process.env[name]).toBe(undefined);
    expect(make('made')).toEqual(['made', 'key=secret', undefined]);
    expect(process.env[name]).toBe(undefined);
    process.env['OTHER'] = 'now';
    expect(make('again')[2]).toBe('now');
    delete process.env['OTHER'];
  });
});
