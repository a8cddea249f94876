import { afterAll, describe, expect, it } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { line, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

afterAll(removeTemporaryDirectories);

const id = (sequence: number) => `${STREAM_A}#${sequence}`;
const halted = {
  'risk.scope': 'global',
  'risk.trading_state.old': 'ACTIVE',
  'risk.trading_state.new': 'HALTED',
  'risk.actor': 'circuit_breaker:broker',
};
const active = {
  'risk.scope': 'global',
  'risk.trading_state.old': 'HALTED',
  'risk.trading_state.new': 'ACTIVE',
  'risk.actor': 'circuit_breaker:broker',
};
const LINES = [
  line(0, {
    event: 'risk.circuit_breaker.failure',
    attributes: { 'risk.circuit_breaker.name': 'broker', 'error.type': 'Timeout' },
  }),
  line(1, {
    event: 'risk.circuit_breaker.state_change',
    attributes: {
      'risk.circuit_breaker.name': 'broker',
      'risk.circuit_breaker.state.old': 'CLOSED',
      'risk.circuit_breaker.state.new': 'OPEN',
      'risk.circuit_breaker.failure_count': 1,
    },
  }),
  line(2, { event: 'risk.trading_state_change', attributes: { ...halted, 'risk.cause.record_id': id(1) } }),
  line(3, { event: 'risk.portfolio_limit.check', attributes: { 'risk.decision': 'deny' } }),
  line(4, { event: 'risk.portfolio_limit.check', attributes: { 'risk.decision': 'allow' } }),
  line(5, { event: 'risk.trading_state_change', attributes: active }),
  line(6, { event: 'risk.portfolio_limit.check', attributes: { 'risk.decision': 'deny' } }),
];

function trailOf(lines: readonly string[]): string {
  const dir = temporaryDirectory();
  put(segmentPath(dir, STREAM_A, 0), lines.join(''));
  return dir;
}

describe('explanations', () => {
  it('count the entries that were refused until trading went on, and only those', async () => {
    await using trail = openTrail(trailOf(LINES), { threads: 2 });
    const { answer, steps } = await trail.explain({ event: id(2), verify: false });
    expect(answer).toContain('1 request was refused meanwhile');
    expect(steps.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 5]);
  });

  it('of many events at once are those of each alone, in the order asked', async () => {
    await using trail = openTrail(trailOf(LINES), { threads: 2 });
    const asked = [id(2), id(5), 'not there', id(1), id(2), id(3)];
    const many = await trail.explainMany(asked);
    expect(many.map((one) => one === undefined)).toEqual([false, false, true, false, false, false]);
    for (const [at, event] of asked.entries()) {
      if (event === 'not there') continue;
      const { answer, steps } = await trail.explain({ event, verify: false });
      expect(many[at]).toEqual({ answer, steps });
    }
    expect(await trail.explainMany([])).toEqual([]);
  });

  it('find ids that look like patterns', async () => {
    const odd = 'a.b*c(d|[e]$\\"';
    const attributes = { 'audit.record.id': odd };
    const dir = trailOf([...LINES, line(7, { event: 'order.rejected', attributes })]);
    await using trail = openTrail(dir, { threads: 2 });
    const [found] = await trail.explainMany([odd]);
    expect(found?.steps.map(({ recordId }) => recordId)).toEqual([odd]);
  });
});
