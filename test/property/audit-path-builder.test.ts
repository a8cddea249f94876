import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathBuilder } from '../../src/audit/proof/path-builder.ts';
import { consistencyProof, Frontier, inclusionProof, leafHash } from '../../src/audit/proof/tree.ts';

const LEAVES = Array.from({ length: 300 }, (_, index) => leafHash(`leaf ${index}`));
const at = (index: number) => LEAVES[index] as Buffer;

function prefixOf(size: number): { size: number; hashes: Buffer[] } {
  const frontier = new Frontier();
  for (let i = 0; i < size; i++) frontier.append(at(i));
  return { size, hashes: frontier.hashes() };
}

function fed(builder: PathBuilder): Buffer[] {
  while (!builder.done) builder.append(at(builder.next));
  return builder.path();
}

describe('a path built in one pass', () => {
  it('is the audit path, for every leaf of every size', () => {
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        expect(fed(PathBuilder.inclusion(index, size))).toEqual(inclusionProof(index, size, at));
      }
    }
  });

  it('is the consistency proof, for every two sizes', () => {
    for (let size = 1; size <= 70; size++) {
      for (let old = 1; old <= size; old++) {
        expect(fed(PathBuilder.consistency(old, size))).toEqual(consistencyProof(old, size, at));
      }
    }
  });

  it('is the same where it begins behind a pruned prefix', () => {
    const three = fc.tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 0, max: 299 })));
    fc.assert(
      fc.property(three, (numbers) => {
        const [start, middle, end] = numbers.toSorted((a, b) => a - b) as [number, number, number];
        const prefix = prefixOf(start);
        expect(fed(PathBuilder.inclusion(middle, end + 1, prefix))).toEqual(
          inclusionProof(middle, end + 1, at, prefix),
        );
        if (middle === 0) return;
        const builder = PathBuilder.consistency(middle, Math.max(end, 1), prefix);
        expect(fed(builder)).toEqual(consistencyProof(middle, Math.max(end, 1), at, prefix));
      }),
      { numRuns: 300 },
    );
  });

  it('refuses what cannot be, and says which leaf is wanting', () => {
    expect(() => PathBuilder.inclusion(5, 5)).toThrow(RangeError);
    expect(() => PathBuilder.inclusion(2, 9, prefixOf(4))).toThrow(RangeError);
    expect(() => PathBuilder.consistency(0, 5)).toThrow(RangeError);
    expect(() => PathBuilder.consistency(6, 5)).toThrow(RangeError);
    expect(() => PathBuilder.consistency(3, 9, prefixOf(4))).toThrow(RangeError);
    const builder = PathBuilder.inclusion(2, 5);
    builder.append(at(0));
    expect(builder.next).toBe(1);
    expect(() => builder.path()).toThrow('leaf 1 of 5');
  });
});
