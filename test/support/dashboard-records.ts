/**
 * A trail's records as they were written, moved to the present: what a Collector would have got from a service that lived
 * through the demo within the last hour.
 */
import { readFileSync } from 'node:fs';
import { findTrailFiles } from '../../src/audit/read/files.ts';
import { runDemo } from '../../src/demo/main.ts';

interface Value {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
}

/** A log record of OTLP/JSON. */
export interface OtlpRecord {
  readonly timeUnixNano: string;
  readonly eventName?: string;
  readonly attributes: readonly { readonly key: string; readonly value: Value }[];
}

interface OtlpRequest {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly { readonly logRecords: readonly OtlpRecord[] }[];
  }[];
}

/** Plays so many days of the demo into `directory`, and gives its records in their order. */
export async function demoRecords(directory: string, days: number): Promise<readonly OtlpRecord[]> {
  await runDemo({ dir: directory, days, quiet: true, json: true });
  const { records } = await findTrailFiles([directory]);
  return records
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    .filter((line) => line !== '')
    .flatMap((line) => (JSON.parse(line) as OtlpRequest).resourceLogs)
    .flatMap(({ scopeLogs }) => scopeLogs)
    .flatMap(({ logRecords }) => logRecords);
}

/**
 * The same records in a span that ends before a time. No two have one time: of several with the same time and text Loki keeps
 * one, and a simulated clock stands still between prices.
 */
export function movedTo(records: readonly OtlpRecord[], endMs: number, spanMs: number): readonly OtlpRecord[] {
  const times = records.map(({ timeUnixNano }) => Number(BigInt(timeUnixNano) / 1000n));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const startMicros = (endMs - spanMs) * 1000 - records.length;
  let micros = 0;
  return records.map((record, index) => {
    const moved = Math.floor(startMicros + ((times[index]! - first) / (last - first)) * spanMs * 1000);
    micros = Math.max(micros + 1, moved);
    return { ...record, timeUnixNano: `${BigInt(micros) * 1000n}` };
  });
}

/** One request of OTLP/JSON for a service. */
export function otlpRequest(service: string, logRecords: readonly OtlpRecord[]): object {
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: service } }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'risktrail' }, logRecords }] }] };
}
