import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { journalOf, lineOf, MadeKey, makeStream } from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const keys = parseVerifierKeys(KEY.vkey);
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';

const STREAM = makeStream(KEY, UUID, 60);

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-threads-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What is done to the bytes of one of the files. */
const tampering = fc.record({
  file: fc.nat(),
  at: fc.nat(),
  remove: fc.integer({ min: 0, max: 2000 }),
  put: fc.constantFrom('', 'x', '\n', '"', 'BTC', '\u0000', '{"resourceLogs":[]}\n'),
});

describe('a verification by threads', () => {
  it('comes to the same report whatever their number, of whole trails and of tampered ones', async () => {
    const { records } = STREAM;
    await fc.assert(
      fc.asyncProperty(
        fc.array(tampering, { maxLength: 3 }),
        fc.boolean(),
        fc.array(fc.nat({ max: 4 }), { maxLength: 2 }),
        fc.boolean(),
        async (tamperings, asCollector, sealed, repeat) => {
          const files: Record<string, Buffer> = {};
          if (asCollector) {
            const held = repeat ? [...records, ...records.slice(20, 30)] : [...records].reverse();
            for (let at = 0; at < held.length; at += 20) {
              files[`collector-${at}.jsonl`] = Buffer.from(lineOf(...held.slice(at, at + 20)));
            }
          } else {
            const made = journalOf(STREAM, records);
            for (const [name, text] of Object.entries(made)) files[name] = Buffer.from(text);
          }
          const names = Object.keys(files).filter((name) => name.endsWith('.jsonl'));
          for (const { file, at, remove, put } of tamperings) {
            const name = names[file % names.length] as string;
            const bytes = files[name] as Buffer;
            const from = at % (bytes.length + 1);
            files[name] = Buffer.concat([bytes.subarray(0, from), Buffer.from(put), bytes.subarray(from + remove)]);
          }
          for (const index of sealed) {
            const name = names[index % names.length] as string;
            const bytes = files[name];
            if (bytes === undefined) continue;
            delete files[name];
            files[`${name}.zst`] = zstdCompressSync(bytes);
          }
          const root = mkdtempSync(join(directory, 'trail-'));
          for (const [name, bytes] of Object.entries(files)) {
            mkdirSync(dirname(join(root, name)), { recursive: true });
            writeFileSync(join(root, name), bytes);
          }
          const verify = (threads: number) =>
            verifyTrail({ paths: [root], keys, threads }).catch((error) => error.code);
          const alone = await verify(0);
          for (const threads of [1, 2, 4]) expect(await verify(threads)).toEqual(alone);
          rmSync(root, { recursive: true });
        },
      ),
      { numRuns: 8 },
    );
  });
});
