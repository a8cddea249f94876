import { describe, expect, it } from 'vitest';
import { defineEvents } from '../../../src/catalog/define-events.ts';

const thrownBy = (family: unknown): string => {
  try {
    defineEvents(family as never);
    return 'nothing';
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${message}`;
  }
};

describe('defineEvents', () => {
  it('fills in defaults', () => {
    const { events } = defineEvents({ events: { 'acme.rebalanced': { brief: 'The book was rebalanced.' } } });
    expect(events['acme.rebalanced']).toMatchObject({ component: 'acme', class: 'audit', severity: 'INFO' });
  });

  it.each([
    [undefined, 'OPTION_INVALID defineEvents: '],
    [{}, 'OPTION_INVALID events: '],
    [{ 'acme.rebalanced': { brief: 'x' } }, 'OPTION_UNKNOWN defineEvents.acme.rebalanced'],
    [{ events: { 'acme.rebalanced': 'x' } }, 'OPTION_INVALID events["acme.rebalanced"]: '],
    [{ events: { 'acme.rebalanced': { brief: 'x', severty: 'WARN' } } }, 'did you mean "severity"?'],
    [{ events: { 'acme.rebalanced': { brief: 'x', class: 'log' } } }, 'one of audit, telemetry'],
    [{ events: { Rebalanced: { brief: 'x' } } }, 'a dotted name in snake_case'],
    [{ events: { 'order.placed': { brief: 'x' } } }, 'a name that is not taken'],
    [{ events: { 'acme.rebalanced': { brief: 'x', required: ['trading.symbl'] } } }, 'did you mean "trading.symbol"?'],
  ])('refuses %j', (family, expected) => {
    expect(thrownBy(family)).toContain(expected);
  });
});
