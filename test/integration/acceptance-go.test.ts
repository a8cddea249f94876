import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSigner, formatCheckpoint } from '../../src/audit/proof/note.ts';
import { proveConsistency, proveRecord } from '../../src/audit/proof/prove.ts';
import { Frontier, leafHash } from '../../src/audit/proof/tree.ts';
import { checkConsistencyProofWithGo, checkRecordProofWithGo, checkWithGo, hasGo } from '../support/acceptance-go.ts';

const TRAIL = fileURLToPath(new URL('../vectors/trail', import.meta.url));
const STREAM = 'streams/9daa6223-bff6-4d4e-8c73-7bd8062153f2';

// In CI a missing Go is a failure, not a reason to pass.
describe.skipIf(!hasGo() && process.env['CI'] === undefined)('golang.org/x/mod', { timeout: 120_000 }, () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'risktrail-go-'));
    cpSync(TRAIL, directory, { recursive: true });
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('confirms the trail of another implementation', async () => {
    const { roots } = JSON.parse(readFileSync(join(TRAIL, '../roots.json'), 'utf8')) as {
      roots: Record<string, string>;
    };
    expect(await checkWithGo(TRAIL)).toEqual([
      { origin: 'rtcheck-bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2', size: 299, root: roots['299'] },
    ]);
  });

  it('confirms notes and roots that are made here, sealed segments too', async () => {
    const own = mkdtempSync(join(tmpdir(), 'risktrail-go-'));
    try {
      const signer = createSigner('bot', generateKeyPairSync('ed25519').privateKey);
      const tree = new Frontier();
      let lines = '';
      for (let sequence = 0; sequence < 77; sequence++) {
        const leaf = leafHash(`record ${sequence}`);
        tree.append(leaf);
        const attributes = [
          { key: 'audit.sequence.number', value: { intValue: sequence } },
          { key: 'audit.integrity.value', value: { stringValue: leaf.toString('base64') } },
        ];
        lines += `${JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes }] }] }] })}\n`;
      }
      const root = tree.root();
      mkdirSync(join(own, 'streams/x'), { recursive: true });
      writeFileSync(join(own, 'verifier.vkey'), `${signer.vkey}\n`);
      writeFileSync(join(own, 'streams/x/00000000000000000000.jsonl.zst'), zstdCompressSync(lines));
      writeFileSync(
        join(own, 'streams/x/checkpoint'),
        signer.sign(formatCheckpoint({ origin: 'bot/x', size: 77, root })),
      );
      expect(await checkWithGo(own)).toEqual([{ origin: 'bot/x', size: 77, root: root.toString('base64') }]);
    } finally {
      rmSync(own, { recursive: true });
    }
  });

  it('refuses a note that was changed, and a record that was', async () => {
    const note = join(directory, STREAM, 'checkpoint');
    const text = readFileSync(note, 'utf8');
    writeFileSync(note, text.replace('\n299\n', '\n298\n'));
    await expect(checkWithGo(directory)).rejects.toThrow('invalid signature');
    writeFileSync(note, text);
    const segment = join(directory, STREAM, '00000000000000000075.jsonl');
    writeFileSync(
      segment,
      readFileSync(segment, 'utf8').replace(/("audit.integrity.value","value":\{"stringValue":")./, '$1A'),
    );
    await expect(checkWithGo(directory)).rejects.toThrow('the checkpoint says');
  });

  it('confirms proofs that are made here, and refuses them where a byte was changed', async () => {
    const away = mkdtempSync(join(tmpdir(), 'risktrail-go-'));
    const at = (name: string) => join(away, name);
    try {
      const vkeys = join(TRAIL, 'verifier.vkey');
      for (const record of [0, 150, 298]) {
        const { proof, canonical, stream } = await proveRecord({ paths: [TRAIL], record });
        writeFileSync(at('x.tlog-proof'), proof);
        writeFileSync(at('x.json'), canonical);
        const said = await checkRecordProofWithGo(at('x.tlog-proof'), at('x.json'), vkeys);
        expect(said).toBe(`${stream} ${record} of 299`);
      }
      writeFileSync(at('x.json'), readFileSync(at('x.json'), 'utf8').replace('audit', 'Audit'));
      await expect(checkRecordProofWithGo(at('x.tlog-proof'), at('x.json'), vkeys)).rejects.toThrow(
        'invalid transparency proof',
      );

      const { proof, stream } = await proveConsistency({ paths: [TRAIL], older: 75, newer: 299 });
      writeFileSync(at('x.consistency-proof'), proof);
      expect(await checkConsistencyProofWithGo(at('x.consistency-proof'), vkeys)).toBe(`${stream} 75 to 299`);
      writeFileSync(at('x.consistency-proof'), proof.replace('2DllDK8', '3DllDK8'));
      await expect(checkConsistencyProofWithGo(at('x.consistency-proof'), vkeys)).rejects.toThrow(
        'invalid transparency proof',
      );
    } finally {
      rmSync(away, { recursive: true });
    }
  });
});
