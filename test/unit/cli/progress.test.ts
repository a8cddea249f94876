import { describe, expect, it } from 'vitest';
import { progressLine, withProgress } from '../../../src/cli/progress.ts';

describe('the progress line', () => {
  it('has a bar, the share, the rate and the time left', () => {
    const progress = { bytes: 250, totalBytes: 1000, records: 20_000 };
    expect(progressLine('verifying data', progress, 10_000)).toBe(
      '[######..................] 25 %, 2,000 records/s, 0:30 left: verifying data',
    );
    const slow = { bytes: 20, totalBytes: 1000, records: 20_000 };
    expect(progressLine('verifying data', slow, 100_000)).toContain(', 1:21:40 left: ');
  });

  it('says only how long it has been where the rest is not known, and never more than the whole', () => {
    expect(progressLine('verifying data', undefined, 4000)).toBe('verifying data … 4 s');
    expect(progressLine('verifying data', { bytes: 0, totalBytes: 0, records: 0 }, 4000)).toBe('verifying data … 4 s');
    expect(progressLine('x', { bytes: 1, totalBytes: 1000, records: 5 }, 1000)).toBe(
      '[........................] 0 %, 5 records/s: x',
    );
    expect(progressLine('x', { bytes: 1200, totalBytes: 1000, records: 5 }, 1000)).toContain(
      '[########################] 100 %, 5 records/s, 0:00 left',
    );
  });

  it('says how long it has been where the bytes may be read again', () => {
    expect(progressLine('reading data', { bytes: 500, totalBytes: 1000 }, 4000)).toBe(
      '[############............] 50 %, 4 s: reading data',
    );
  });

  it('is asked for by nobody where standard error is no terminal', async () => {
    const given: unknown[] = [];
    const result = await withProgress(
      'x',
      () => 0,
      async (onProgress) => {
        given.push(onProgress);
        return 7;
      },
    );
    expect({ result, given }).toEqual({ result: 7, given: [process.stderr.isTTY ? expect.any(Function) : undefined] });
  });
});
