/** Writes what a Collector's file exporter would have written of a journal: regrouped, re-encoded, with repeats. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';

type Json = { [member: string]: unknown };

/** The records of every stream of a data directory, in the order of their numbers, as they stand in the lines. */
export function recordsOf(dataDir: string): Json[] {
  const records: Json[] = [];
  const streams = join(dataDir, 'streams');
  for (const id of readdirSync(streams).sort()) {
    const names = readdirSync(join(streams, id)).filter((name) => name.endsWith('.jsonl'));
    for (const name of names.sort()) {
      const lines = readFileSync(join(streams, id, name), 'utf8').split('\n');
      for (const line of lines) {
        if (line === '') continue;
        // The last one may be torn.
        if (!line.endsWith(']}]}]}')) continue;
        records.push(JSON.parse(line).resourceLogs[0].scopeLogs[0].logRecords[0]);
      }
    }
  }
  return records;
}

/** As protobuf and back: ints as strings, keys in another order. */
function reencoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reencoded);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    key === 'intValue' ? String(item) : reencoded(item),
  ]);
  return Object.fromEntries(entries.reverse());
}

/**
 * Writes records as Collector files: batches of seven a line, every tenth batch delivered twice, two batches exchanged; in a
 * rotated file, a compressed one and the current one.
 * @returns the directory
 */
export function writeCollectorFiles(directory: string, records: readonly Json[], tail = ''): string {
  mkdirSync(directory, { recursive: true });
  const lines: string[] = [];
  for (let at = 0; at < records.length; at += 7) {
    const logRecords = records.slice(at, at + 7).map(reencoded);
    const line = JSON.stringify({
      resourceLogs: [
        {
          resource: { attributes: [{ key: 'collector', value: { stringValue: 'edge' } }] },
          scopeLogs: [{ scope: { name: 'risktrail' }, logRecords }],
        },
      ],
    });
    lines.push(`${line}\n`);
    if (lines.length % 10 === 0) lines.push(`${line}\n`);
  }
  if (lines.length > 4) [lines[2], lines[3]] = [lines[3] as string, lines[2] as string];
  const third = Math.ceil(lines.length / 3);
  writeFileSync(join(directory, 'audit-2026-01-01T00-00-00.000.jsonl'), lines.slice(0, third).join(''));
  writeFileSync(
    join(directory, 'audit-2026-01-02T00-00-00.000.jsonl.zst'),
    zstdCompressSync(lines.slice(third, 2 * third).join('')),
  );
  writeFileSync(join(directory, 'audit.jsonl'), lines.slice(2 * third).join('') + tail);
  return directory;
}
