import { describe, expect, it } from 'vitest';
import {
  drawdowns,
  expectancy,
  expectancyRatio,
  profitFactor,
  quantile,
  returnsDrawdown,
  share,
  sharpeRatio,
  slippageBps,
  weightedMean,
  winRate,
} from '../../../src/analysis/metrics.ts';

const RESULTS = [100, 200, 50, -150, 300, -100, 80, -30];

describe('the metrics', () => {
  it('agree with published numbers: Sharpe', () => {
    expect(sharpeRatio([0.01, -0.02, 0.015, -0.005, 0.025]).value).toBeCloseTo(4.48998886412873, 11);
    const percent = [1, 10, -4, 2, 3, 2, 1, -10].map((one) => one / 100);
    expect(sharpeRatio(percent).value).toBeCloseTo(1.7238613961706866, 11);
  });

  it('agree with published numbers: win rate, profit factor, expectancy', () => {
    expect(winRate(RESULTS).value).toBe(0.625);
    expect(profitFactor(RESULTS).value).toBeCloseTo(2.607142857, 9);
    expect(expectancy(RESULTS).value).toBe(56.25);
    expect(expectancyRatio(RESULTS).value).toBeCloseTo(0.60267857, 8);
  });

  it('agree with published numbers: drawdown, the worst in money and the worst of its peak', () => {
    const { absolute, absoluteRatio, relative } = drawdowns([0, -500, 500, 10_000, -1000], 1000);
    expect(absolute.value).toBe(1000);
    expect(absoluteRatio.value).toBeCloseTo(0.0909, 4);
    expect(relative.value).toBe(0.5);
    expect(returnsDrawdown([-0.4, -0.1]).value).toBeCloseTo(-0.46, 11);
  });

  it('say why there is no value, and never 0 instead', () => {
    expect(sharpeRatio([])).toMatchObject({
      value: null,
      n: 0,
      undefinedBecause: 'it takes two observations, and there are none',
    });
    expect(sharpeRatio([0.01])).toMatchObject({ value: null, n: 1 });
    expect(sharpeRatio([0.1, 0.1, 0.1])).toMatchObject({ value: null, undefinedBecause: 'all observations are equal' });
    expect(profitFactor([5, 3])).toMatchObject({ value: null, n: 2, undefinedBecause: 'there is no loss' });
    expect(expectancyRatio([5])).toMatchObject({ value: null, undefinedBecause: 'there is no loss' });
    expect(winRate([]).value).toBeNull();
    expect(share(0, 0, 'x').value).toBeNull();
    expect(quantile([], 0.5).value).toBeNull();
    expect(weightedMean([], 'x').value).toBeNull();
    expect(returnsDrawdown([]).value).toBeNull();
    const { absolute, relative } = drawdowns([10, -20], undefined);
    expect(absolute.value).toBe(20);
    expect(relative.value).toBeNull();
    expect(drawdowns([], 1000).absolute.value).toBeNull();
  });

  it('tell their convention and their observations', () => {
    for (const metric of [sharpeRatio([1, 2]), winRate(RESULTS), profitFactor(RESULTS), quantile(RESULTS, 0.95)]) {
      expect(metric.convention).not.toBe('');
      expect(metric.n).toBeGreaterThan(0);
    }
  });

  it('interpolate quantiles between neighbours', () => {
    expect(quantile([1, 2, 3, 4], 0.5).value).toBe(2.5);
    expect(quantile([4, 1, 3, 2], 1).value).toBe(4);
    expect(quantile([7], 0.99).value).toBe(7);
  });

  it('sign slippage by side: above 0 is worse', () => {
    expect(slippageBps('buy', 101, 100)).toBeCloseTo(100, 9);
    expect(slippageBps('sell', 101, 100)).toBeCloseTo(-100, 9);
    expect(
      weightedMean(
        [
          { value: 10, weight: 1 },
          { value: 40, weight: 2 },
        ],
        'x',
      ).value,
    ).toBe(30);
  });
});
