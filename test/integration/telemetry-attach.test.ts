import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const TRACE = '9f1c2d3e4a5b4c6d8e7f001122334455';
const CHILD = join(import.meta.dirname, '../support/attach-child.ts');
const CONTEXT = { 'correlation.id': '9f1c2d3e-4a5b-4c6d-8e7f-001122334455', 'trading.account.id': 'A' };

async function attach(mode: string) {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    CHILD,
    mode,
  ]);
  return JSON.parse(stdout);
}

describe('attached beside', () => {
  it('a running NodeSDK: its spans carry our trace id, its logs stay its own, ours stay ours', async () => {
    const seen = await attach('node-sdk');
    expect(seen).toMatchObject({
      account: 'A',
      marked: true,
      sampled: true,
      told: [],
      ours: [['ours', TRACE]],
      attached: true,
      exporting: false,
      legacy: false,
      foreignLogs: ['theirs'],
    });
    expect(seen.foreignSpans).toEqual([
      { name: 'our span', traceId: TRACE, remoteParent: false, attributes: { ...CONTEXT, password: '***MASKED***' } },
      { name: 'their span', traceId: TRACE, remoteParent: false, attributes: {} },
      { name: 'trail.context', traceId: TRACE, remoteParent: true, attributes: CONTEXT },
    ]);
  });

  it('a tracer provider alone: contexts are carried by a manager of ours', async () => {
    const seen = await attach('tracer-provider');
    expect(seen).toMatchObject({ account: 'A', marked: true, told: [], ours: [['ours', TRACE]], foreignLogs: [] });
    expect(seen.foreignSpans.map((span: { traceId: string }) => span.traceId)).toEqual([TRACE, TRACE, TRACE]);
  });

  it('a sampler that drops: the record keeps its trace id, and it is known that the span is lost', async () => {
    expect(await attach('dropping')).toMatchObject({
      marked: false,
      sampled: false,
      told: [],
      ours: [['ours', TRACE]],
      foreignSpans: [],
    });
  });

  it('nobody: the record keeps its trace id', async () => {
    expect(await attach('nobody')).toMatchObject({
      account: 'A',
      marked: false,
      sampled: false,
      ours: [['ours', TRACE]],
    });
  });
});
