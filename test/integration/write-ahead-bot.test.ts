import { describe, expect, it } from 'vitest';
import { torture, wrongs } from '../../examples/write-ahead-bot/torture.ts';

const KILLS = 15;

describe('the write-ahead rule', () => {
  it(`a bot that is killed ${KILLS} times around its orders sends none twice, forgets none, and passes no limit`, async () => {
    const counts = await torture({ kills: KILLS, seed: 7, dailyLoss: 8 });
    expect({ ...counts, wrongs: wrongs(counts) }).toMatchObject({ kills: KILLS, wrongs: 0 });
    expect(counts.orders).toBeGreaterThan(KILLS);
    // The limits had something to refuse.
    expect(counts.refused).toBeGreaterThan(0);
  }, 300_000);
});
