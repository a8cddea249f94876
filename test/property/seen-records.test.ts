import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SeenRecords } from '../../src/analysis/seen-records.ts';

it('tells each record once, whatever the order and however often it comes', () => {
  const delivery = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.nat({ max: 40 })), { maxLength: 200 });
  fc.assert(
    fc.property(delivery, (records) => {
      const seen = new SeenRecords();
      const known = new Set<string>();
      for (const [stream, sequence] of records) {
        const key = `${stream}/${sequence}`;
        expect(seen.add(stream, sequence)).toBe(!known.has(key));
        known.add(key);
      }
    }),
  );
});
