import { describe, expect, it } from 'vitest';
import { readFields } from '../../../src/core/read-fields.ts';
import { withoutNulls } from '../../../src/core/without-nulls.ts';

describe('reading fields that a caller gave', () => {
  it('takes what can be read, each once, inherited ones too, and tells of the rest', () => {
    let reads = 0;
    class Act {
      get actor() {
        reads++;
        return 'desk';
      }
      get reason(): string {
        throw new Error('getter');
      }
      readonly scope = undefined;
    }
    const told: unknown[] = [];
    const fields = readFields(new Act(), ['actor', 'reason', 'scope'], (error) => told.push(error));
    expect(fields).toEqual({ actor: 'desk' });
    expect(Object.keys(fields)).toEqual(['actor']);
    expect(reads).toBe(1);
    expect(told).toEqual([new Error('getter')]);
  });

  it.each([[undefined], [null], [7], ['text']])('finds nothing in %s', (given) => {
    expect(readFields(given as unknown as { actor: string }, ['actor'], () => {})).toEqual({});
  });
});

describe('plain data without nulls', () => {
  it('leaves out members of maps at any depth, keeps lists whole, and changes nothing in place', () => {
    const data = { a: null, b: undefined, c: 0, d: '', e: false, f: [null, { g: null, h: 1 }], i: { j: null } };
    const before = structuredClone(data);
    expect(withoutNulls(data)).toEqual({ c: 0, d: '', e: false, f: [null, { h: 1 }], i: {} });
    expect('a' in withoutNulls(data)).toBe(false);
    expect(data).toEqual(before);
  });
});
