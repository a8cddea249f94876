import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startTestTrail, temporaryDirectory } from '../support/trail.ts';

const breakerOf = (trail: Awaited<ReturnType<typeof startTestTrail>>) =>
  trail.circuitBreaker('broker', { failureThreshold: 1, cooldownMs: 3_600_000, onOpen: 'none' });

/** What kill -9 leaves: an open stream, all of it signed. */
async function leaveOpen() {
  const trail = await startTestTrail();
  breakerOf(trail).failure();
  await trail.flush();
  const dataDir = temporaryDirectory();
  cpSync(trail.dataDir, dataDir, { recursive: true });
  const [id] = readdirSync(join(dataDir, 'streams'));
  const directory = join(dataDir, 'streams', id!);
  await trail.close();
  return {
    dataDir,
    stream: trail.stream,
    segment: join(directory, readdirSync(directory).find((name) => name.endsWith('.jsonl'))!),
  };
}

describe('the open stream of a killed process, which the journal goes on with', () => {
  it('whole: everything is there, in the same stream', async () => {
    const { dataDir, stream } = await leaveOpen();
    const trail = await startTestTrail({ dataDir });
    expect(trail.stream).toBe(stream);
    expect(trail.restored).toMatchObject({ outcome: 'restored', unsigned: 0 });
    expect([breakerOf(trail).state, trail.gate.state()]).toEqual(['OPEN', 'ACTIVE']);
  });

  it('copied without the folder that its lock lay in, as some backups do: the same', async () => {
    const { dataDir, stream, segment } = await leaveOpen();
    rmSync(join(segment, '../state'), { recursive: true });
    const trail = await startTestTrail({ dataDir });
    expect(trail.stream).toBe(stream);
    expect(breakerOf(trail).state).toBe('OPEN');
  });

  it('signed by another key than that of the service: halted', async () => {
    const { dataDir } = await leaveOpen();
    const other = await leaveOpen();
    for (const file of ['verifier.vkey', 'signing-key.pem']) {
      writeFileSync(join(dataDir, file), readFileSync(join(other.dataDir, file)));
    }
    const trail = await startTestTrail({ dataDir });
    expect(trail.restored).toMatchObject({ outcome: 'halted', reason: expect.stringContaining('not signed') });
    expect(trail.gate.state()).toBe('HALTED');
  });

  it('with a changed record: it is not gone on with, and trading is halted', async () => {
    const { dataDir, stream, segment } = await leaveOpen();
    writeFileSync(
      segment,
      readFileSync(segment, 'utf8').replace('"broker: ', '"bro ker: ').replaceAll('"OPEN"', '"CLOSED"'),
    );
    const trail = await startTestTrail({ dataDir });
    expect(trail.stream).not.toBe(stream);
    expect(trail.restored).toMatchObject({ outcome: 'halted' });
    expect(trail.gate.state()).toBe('HALTED');
  });

  it('with its signed end cut off: the same', async () => {
    const { dataDir, segment } = await leaveOpen();
    const lines = readFileSync(segment, 'utf8').trimEnd().split('\n');
    writeFileSync(segment, `${lines.slice(0, -3).join('\n')}\n`);
    const trail = await startTestTrail({ dataDir });
    expect(trail.restored).toMatchObject({ outcome: 'halted' });
    expect(trail.gate.state()).toBe('HALTED');
  });
});
