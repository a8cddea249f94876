import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkConsistency,
  checkInclusion,
  consistencyProof,
  emptyRoot,
  Frontier,
  inclusionProof,
  leafHash,
  rootFromHashes,
} from '../../src/audit/proof/tree.ts';

const sha = (...parts: (Uint8Array | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 section 2.1, written as it stands there. */
function naiveRoot(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return sha('');
  if (leaves.length === 1) return Buffer.from(leaves[0] as Uint8Array);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Uint8Array.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const leavesOf = (count: number, salt: number) =>
  Array.from({ length: count }, (_, index) => leafHash(`${salt}/${index}`));
const frontierOf = (leaves: readonly Uint8Array[]) => {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leaf);
  return frontier;
};
const flipped = (hash: Uint8Array) => {
  const copy = Buffer.from(hash);
  copy[7] = (copy[7] as number) ^ 1;
  return copy;
};
const size = fc.integer({ min: 0, max: 200 });

describe('the tree', () => {
  it('hashes a leaf as SHA-256 of 0x00 and the UTF-8 text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(leafHash(text)).toEqual(sha(Uint8Array.of(0), Buffer.from(text)));
      }),
    );
  });

  it('has the root of the recursive definition at every size', () => {
    const leaves = leavesOf(300, 1);
    const frontier = new Frontier();
    expect(frontier.root()).toEqual(emptyRoot());
    for (const [index, leaf] of leaves.entries()) {
      frontier.append(leaf);
      expect(frontier.size).toBe(index + 1);
      expect(frontier.root()).toEqual(naiveRoot(leaves.slice(0, index + 1)));
    }
  });

  it('goes on from its subtree hashes as if it had never stopped', () => {
    fc.assert(
      fc.property(size, size, fc.nat(), (before, after, salt) => {
        const leaves = leavesOf(before + after, salt);
        const stopped = frontierOf(leaves.slice(0, before));
        expect(rootFromHashes(stopped.hashes())).toEqual(stopped.root());
        const resumed = Frontier.from(before, stopped.hashes());
        const copy = stopped.clone();
        for (const leaf of leaves.slice(before)) {
          resumed.append(leaf);
          copy.append(leaf);
        }
        expect(resumed.root()).toEqual(naiveRoot(leaves));
        expect(copy.root()).toEqual(naiveRoot(leaves));
        expect(stopped.root()).toEqual(naiveRoot(leaves.slice(0, before)));
      }),
      { numRuns: 60 },
    );
  });

  it('refuses subtree hashes that do not fit the size', () => {
    expect(() => Frontier.from(3, [leafHash('a')])).toThrow(RangeError);
    expect(() => Frontier.from(1, [Buffer.alloc(31)])).toThrow(RangeError);
    expect(() => Frontier.from(-1, [])).toThrow(RangeError);
  });

  it('counts past 2^32 leaves', () => {
    const big = 2 ** 40 + 1;
    const frontier = Frontier.from(big, [leafHash('big'), leafHash('small')]);
    frontier.append(leafHash('next'));
    expect(frontier.size).toBe(big + 1);
    expect(frontier.hashes()).toEqual([leafHash('big'), sha(Uint8Array.of(1), leafHash('small'), leafHash('next'))]);
  });
});

describe('inclusion proofs', () => {
  it('verify for every leaf, and for no other leaf, index, size or root', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(), fc.nat(), (count, at, salt) => {
        const index = at % count;
        const leaves = leavesOf(count, salt);
        const proof = inclusionProof(index, count, (i) => leaves[i] as Uint8Array);
        const claim = { index, size: count, leaf: leaves[index] as Buffer, root: naiveRoot(leaves), proof };
        expect(checkInclusion(claim)).toBe(true);
        expect(checkInclusion({ ...claim, leaf: flipped(claim.leaf) })).toBe(false);
        expect(checkInclusion({ ...claim, root: flipped(claim.root) })).toBe(false);
        expect(checkInclusion({ ...claim, index: index + 1 })).toBe(false);
        expect(checkInclusion({ ...claim, index: count })).toBe(false);
        expect(checkInclusion({ ...claim, index: -1 })).toBe(false);
        expect(checkInclusion({ ...claim, proof: [...proof, leafHash('more')] })).toBe(false);
        for (const [place, hash] of proof.entries()) {
          expect(checkInclusion({ ...claim, proof: proof.with(place, flipped(hash)) })).toBe(false);
          expect(checkInclusion({ ...claim, proof: proof.toSpliced(place, 1) })).toBe(false);
        }
      }),
    );
  });

  it('can be made of a pruned tree, for the records that are left', () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 130 }), fc.nat(), (pruned, rest, salt) => {
        const leaves = leavesOf(pruned + rest, salt);
        const leafAt = (i: number) => {
          if (i < pruned) throw new Error(`leaf ${i} is gone`);
          return leaves[i] as Uint8Array;
        };
        const prefix = { size: pruned, hashes: frontierOf(leaves.slice(0, pruned)).hashes() };
        const root = naiveRoot(leaves);
        for (const index of [pruned, leaves.length - 1]) {
          const proof = inclusionProof(index, leaves.length, leafAt, prefix);
          expect(checkInclusion({ index, size: leaves.length, leaf: leaves[index] as Buffer, root, proof })).toBe(true);
        }
        const proof = consistencyProof(pruned, leaves.length, leafAt, prefix);
        const oldRoot = naiveRoot(leaves.slice(0, pruned));
        expect(checkConsistency({ oldSize: pruned, newSize: leaves.length, oldRoot, newRoot: root, proof })).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('consistency proofs', () => {
  it('verify between any two sizes, and no altered proof, root or size does', () => {
    fc.assert(
      fc.property(size, size, fc.nat(), (a, b, salt) => {
        const [oldSize, newSize] = a < b ? [a, b] : [b, a];
        const leaves = leavesOf(newSize, salt);
        const proof = consistencyProof(oldSize, newSize, (i) => leaves[i] as Uint8Array);
        const oldRoot = naiveRoot(leaves.slice(0, oldSize));
        const claim = { oldSize, newSize, oldRoot, newRoot: naiveRoot(leaves), proof };
        expect(checkConsistency(claim)).toBe(true);
        expect(checkConsistency({ ...claim, oldRoot: flipped(claim.oldRoot) })).toBe(false);
        expect(checkConsistency({ ...claim, proof: [...proof, leafHash('more')] })).toBe(false);
        expect(checkConsistency({ ...claim, oldSize: newSize + 1 })).toBe(false);
        // From the empty tree every tree follows: there is nothing in the proof to check the new root by.
        if (oldSize > 0) expect(checkConsistency({ ...claim, newRoot: flipped(claim.newRoot) })).toBe(false);
        for (const [place, hash] of proof.entries()) {
          expect(checkConsistency({ ...claim, proof: proof.with(place, flipped(hash)) })).toBe(false);
          expect(checkConsistency({ ...claim, proof: proof.toSpliced(place, 1) })).toBe(false);
        }
      }),
    );
  });
});
