import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import {
  checkConsistencyProof,
  checkRecordProof,
  formatConsistencyProof,
  formatRecordProof,
  makeConsistencyProof,
  makeRecordProof,
  parseConsistencyProof,
  parseRecordProof,
} from '../../src/audit/proof/proof.ts';
import { Frontier, leafHash } from '../../src/audit/proof/tree.ts';
import { type AuditRecord, readRecords } from '../../src/audit/read/reader.ts';
import { type AuditForm, auditForm } from '../../src/audit/record/canonical.ts';
import { visitRecords } from '../../src/audit/record/otlp.ts';
import { type VerifyReport, verifyTrail } from '../../src/audit/verify/verify.ts';

const path = (name: string) => fileURLToPath(new URL(`../vectors/${name}`, import.meta.url));
const text = (name: string) => readFileSync(path(name), 'utf8');
const json = (name: string) => JSON.parse(text(name));
const linesOf = (name: string) => text(name).trimEnd().split('\n');

/** The one record of a line; ints are read as they are written. */
function formOf(line: string): AuditForm {
  const forms: (AuditForm | undefined)[] = [];
  expect(visitRecords(line, (record) => forms.push(auditForm(record)), true)).toBe(true);
  expect(forms).toHaveLength(1);
  return forms[0] as AuditForm;
}

async function leavesOf(directory: string): Promise<Buffer[]> {
  const leaves: Buffer[] = [];
  for await (const batch of readRecords([path(directory)])) {
    for (const record of batch) leaves[record.sequence as number] = Buffer.from(record.integrity as string, 'base64');
  }
  return leaves;
}

const kinds = (report: VerifyReport) =>
  report.streams.flatMap((stream) => stream.findings.map((finding) => finding.kind));

describe('records on the edges of the format', () => {
  const lines = linesOf('records.jsonl');
  const expected: { case: string; sequence: number; canonical: string; leafHash: string }[] =
    json('records.expected.json');

  it('are all there', () => expect(lines).toHaveLength(expected.length));

  it.each(expected.map((one, index) => [one.case, index] as const))('%s', (_, index) => {
    const { canonical, leafHash: hash, sequence } = expected[index] as (typeof expected)[number];
    const form = formOf(lines[index] as string);
    expect(form.text).toBe(canonical);
    expect(leafHash(form.text as string).toString('base64')).toBe(hash);
    expect(form).toMatchObject({ sequence, claim: hash, defect: undefined });
  });

  it('verify: none is invalid', async () => {
    const keys = parseVerifierKeys(text('trail/verifier.vkey'));
    const report = await verifyTrail({ paths: [path('records.jsonl')], keys });
    expect(report.streams[0]).toMatchObject({ records: expected.length, firstSequence: 0, lastSequence: 45 });
    expect(kinds(report)).not.toContain('INVALID');
    expect(kinds(report)).not.toContain('GAP');
  });
});

describe('records that are invalid', () => {
  const lines = linesOf('records-invalid.jsonl');
  const expected: { case: string; line: number }[] = json('records-invalid.expected.json');

  it('are each told, by line', async () => {
    const keys = parseVerifierKeys(text('trail/verifier.vkey'));
    const report = await verifyTrail({ paths: [path('records-invalid.jsonl')], keys });
    expect(report.exitStatus).toBe(1);
    const told = report.streams.flatMap((stream) => stream.findings.filter(({ kind }) => kind === 'INVALID'));
    expect(told.map(({ line }) => line).sort((a, b) => (a as number) - (b as number))).toEqual(
      expected.map(({ line }) => line),
    );
  });

  it.each(expected.map((one) => [one.case, one.line] as const))('%s', (_, line) => {
    const form = formOf(lines[line - 1] as string);
    const right = form.text !== undefined && leafHash(form.text).toString('base64') === form.claim;
    expect(form.defect === undefined && right).toBe(false);
  });
});

describe('trails of other implementations', () => {
  it.each([
    ['trail', 300, 298, []],
    ['trail-collector', 300, 298, []],
    ['trail-pruned', 120, 238, ['PRUNED']],
    ['trail-lagging', 255, 253, []],
  ])('%s verifies', async (name, records, verifiedThrough, found) => {
    const report = await verifyTrail({ paths: [path(name)], strict: true });
    expect(report).toMatchObject({ ok: true, exitStatus: 0, keySource: 'beside the trail' });
    expect(report.streams).toHaveLength(1);
    expect(report.streams[0]).toMatchObject({ records, verifiedThrough, closed: true, unsignedTail: 0 });
    expect(kinds(report)).toEqual(found);
  });

  it('trail-chain verifies: the second stream accounts for what was pruned of the first', async () => {
    const report = await verifyTrail({ paths: [path('trail-chain')], strict: true });
    expect(report.exitStatus).toBe(0);
    expect(report.streams.map(({ records, verifiedThrough }) => [records, verifiedThrough])).toEqual([
      [60, 118],
      [120, 118],
    ]);
    expect(kinds(report)).toEqual(['PRUNED']);
  });

  it('have the published roots at each size', async () => {
    const { roots } = json('roots.json') as { roots: Record<string, string> };
    const leaves = await leavesOf('trail');
    for (const [size, root] of Object.entries(roots)) {
      const tree = new Frontier();
      for (const leaf of leaves.slice(0, Number(size))) tree.append(leaf);
      expect(tree.root().toString('base64'), size).toBe(root);
    }
  });

  it('read the same, journal or Collector file', async () => {
    const read = async (name: string) => {
      const records = new Map<number, Omit<AuditRecord, 'file' | 'line' | 'resource'>>();
      for await (const batch of readRecords([path(name)])) {
        for (const { file: _file, line: _line, resource: _resource, ...record } of batch) {
          records.set(record.sequence as number, record);
        }
      }
      return [...records.values()].sort((a, b) => (a.sequence as number) - (b.sequence as number));
    };
    const journal = await read('trail');
    expect(journal).toHaveLength(300);
    expect(journal).toEqual(await read('trail-collector'));
  });
});

describe('proofs of other implementations', () => {
  const id = '019aa420-6a38-7da3-89a4-0dbd13a3177f';
  const keys = parseVerifierKeys(text('proof/verifier.vkey'));
  const record = text(`proof/${id}.tlog-proof`);
  const consistency = text('proof/75-299.consistency-proof');

  it('of a record hold, and are made the same', async () => {
    const canonical = readFileSync(path(`proof/${id}.json`));
    expect(checkRecordProof(record, canonical, keys)).toMatchObject({
      ok: true,
      index: 123,
      checkpoint: { size: 299 },
    });
    const leaves = await leavesOf('trail');
    const { note } = parseRecordProof(record) as { note: string };
    const made = makeRecordProof(123, note, (index) => leaves[index] as Buffer);
    expect(formatRecordProof(made)).toBe(record);
  });

  it('of a record fail for changed bytes, another index, another key or another note', () => {
    const canonical = readFileSync(path(`proof/${id}.json`));
    const reason = (proof: string, bytes: Uint8Array, by = keys) => {
      const result = checkRecordProof(proof, bytes, by);
      return result.ok ? 'holds' : result.reason;
    };
    expect(reason(record, Buffer.from(`${canonical}\n`))).toContain('not leaf 123');
    expect(reason(record.replace('index 123', 'index 122'), canonical)).toContain('not leaf 122');
    expect(reason(record, canonical, [])).toContain('unknown signer');
    expect(reason(record.replace('\n299\n', '\n300\n'), canonical)).toContain('false signature');
    expect(reason(record.replace('@v1', '@v2'), canonical)).toContain('no tlog-proof');
    expect(reason(record.replace('index 123', 'index 0123'), canonical)).toContain('no tlog-proof');
  });

  it('of consistency hold, and are made the same', async () => {
    expect(checkConsistencyProof(consistency, keys)).toMatchObject({
      ok: true,
      older: { size: 75 },
      newer: { size: 299 },
    });
    const leaves = await leavesOf('trail');
    const { oldNote, newNote } = parseConsistencyProof(consistency) as { oldNote: string; newNote: string };
    const made = makeConsistencyProof(oldNote, newNote, (index) => leaves[index] as Buffer);
    expect(formatConsistencyProof(made)).toBe(consistency);
  });

  it('of consistency fail with a hash changed, dropped or swapped notes', () => {
    const reason = (proof: string) => {
      const result = checkConsistencyProof(proof, keys);
      return result.ok ? 'holds' : result.reason;
    };
    const [head, old, next] = consistency.split(/\n\n(?=rtcheck)|--\n/) as [string, string, string];
    expect(reason(consistency.replace('2DllDK8', '3DllDK8'))).toContain('does not go on');
    expect(reason(consistency.replace(/^2Dll.*\n/m, ''))).toContain('does not go on');
    expect(reason(`${head}\n\n${next}--\n${old}`)).toContain('other sizes');
    expect(reason(consistency.replace('old 75', 'old 74'))).toContain('other sizes');
    expect(reason(consistency.replace('\n--\n', '\n'))).toContain('no consistency proof');
  });
});
