import { describe, expect, it } from 'vitest';
import { parseFilter, textsOf } from '../../../src/analysis/filter.ts';
import { queryTrail } from '../../../src/analysis/trail-query.ts';
import { createManualClock } from '../../../src/core/clock.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { line, lines, put, STREAM_A, STREAM_B, segmentPath } from '../../support/trail-lines.ts';

const ID = 'b18b6f0e-f4d2-90ef-3c74-911f4ac934d6';
const TRACE = ID.replaceAll('-', '');

async function keys(dir: string, texts: readonly string[] | undefined): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of queryTrail([dir], {
    filter: parseFilter({ correlation: ID }, createManualClock(0)),
    texts,
  }))
    found.push(...batch.map((record) => `${record.stream} ${record.sequence}`));
  return found;
}

describe('lines that are passed over by their text', () => {
  it('are none that match: by the id, by its trace, across blocks, in several streams, at the end', async () => {
    const dir = temporaryDirectory();
    const padding = lines(0, 5000, { body: 'x'.repeat(300) });
    put(
      segmentPath(dir, STREAM_A, 0),
      padding +
        line(5000, { attributes: { 'correlation.id': ID } }) +
        line(5001, { traceId: TRACE }) +
        line(5002, { body: ID }) +
        lines(5003, 9000, { body: 'y'.repeat(300) }) +
        line(9000, { attributes: { 'correlation.id': ID } }),
    );
    put(segmentPath(dir, STREAM_B, 0), line(0, { stream: STREAM_B, timeMs: 1, attributes: { 'correlation.id': ID } }));
    const texts = textsOf({ correlation: ID });
    expect(texts).toEqual([ID, TRACE]);
    expect(await keys(dir, texts)).toEqual([`${STREAM_B} 0`, ...[5000, 5001, 9000].map((at) => `${STREAM_A} ${at}`)]);
    expect(await keys(dir, texts)).toEqual(await keys(dir, undefined));
  });

  it('are looked at where a line may have the id in another form', () => {
    expect(textsOf({})).toBeUndefined();
    expect(textsOf({ correlation: 'a "quoted" id' })).toBeUndefined();
    expect(textsOf({ correlation: 'order-4711' })).toEqual(['order-4711']);
  });
});
