import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Journal } from '../../../src/audit/journal/journal.ts';
import { listSegments } from '../../../src/audit/journal/segment-files.ts';
import { streamDirectory } from '../../../src/audit/journal/streams.ts';
import { startRiskTrail } from '../../../src/index.ts';
import type { Settings } from '../../../src/runtime/settings.ts';
import type { AuditFailure } from '../../../src/runtime/settings-table.ts';
import { type AheadRecord, writeAhead } from '../../../src/runtime/write-ahead.ts';
import { readBack, startTestTrail } from '../../support/trail.ts';

const ENTRY = { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 1 } as const;

/** What happened, in its order, with a journal whose commit ends as told. */
function trace(options: {
  durability?: string;
  auditFailure?: AuditFailure;
  commit?: () => Promise<void>;
  recordId?: string | undefined;
}) {
  const steps: string[] = [];
  const commit = options.commit ?? (async () => {});
  const parts = {
    settings: {
      durability: options.durability ?? 'disk',
      durableEvents: ['order.intent'],
      auditFailure: options.auditFailure ?? 'continue',
    } as unknown as Settings,
    journal: {
      commit: async () => {
        steps.push('commit begins');
        await commit();
        steps.push('commit ends');
      },
    } as unknown as Journal,
    emit: (name: string, _: unknown, reliedOn: string) => {
      steps.push(`emit ${name}, relied on after ${reliedOn}`);
      return 'recordId' in options ? options.recordId : 'id-1';
    },
    report: (_: unknown, where: string) => void steps.push(`report ${where}`),
  };
  const act = (ahead: AheadRecord) => {
    steps.push(`send, durable ${ahead.durable}`);
    return Promise.resolve(ahead.recordId);
  };
  return { steps, parts, act };
}

const broken = async () => {
  throw new Error('EIO');
};

describe('writing ahead', () => {
  it('sends only after the commit', async () => {
    const { steps, parts, act } = trace({ commit: () => new Promise((resolve) => setImmediate(resolve)) });
    expect(await writeAhead(parts, 'order.intent', ENTRY, act)).toBe('id-1');
    expect(steps).toEqual([
      'emit order.intent, relied on after commit',
      'commit begins',
      'commit ends',
      'send, durable true',
    ]);
  });

  it.each([
    ['in process mode', { durability: 'process' }, 'order.intent'],
    ['for an event that is not among the durable ones', {}, 'order.placed'],
  ])('waits for no disk %s', async (_, options, name) => {
    const { steps, parts, act } = trace(options);
    await writeAhead(parts, name, ENTRY, act);
    expect(steps).toEqual([`emit ${name}, relied on after append`, 'send, durable false']);
  });

  it.each([
    ['a commit that fails', { commit: broken }],
    ['a record that could not be written', { recordId: undefined }],
  ])('with %s sends all the same where trading goes on', async (_, options) => {
    const { steps, parts, act } = trace(options);
    await writeAhead(parts, 'order.intent', ENTRY, act);
    expect(steps.slice(-2)).toEqual(['report write-ahead order.intent', 'send, durable false']);
  });

  it.each(['reduce-only', 'halt'] as const)(
    'with a commit that fails refuses an entry under %s, and never an exit',
    async (auditFailure) => {
      const { steps, parts, act } = trace({ commit: broken, auditFailure });
      await expect(writeAhead(parts, 'order.intent', ENTRY, act)).rejects.toMatchObject({ code: 'INTENT_NOT_DURABLE' });
      expect(steps.some((step) => step.startsWith('send'))).toBe(false);
      for (const exit of [{ 'trading.order.reduce_only': true }, { 'trading.order.role': 'stop_loss' }]) {
        await writeAhead(parts, 'order.intent', { ...ENTRY, ...exit }, act);
      }
      expect(steps.filter((step) => step.startsWith('send'))).toHaveLength(2);
    },
  );

  it('passes through what the act throws', async () => {
    const { parts } = trace({});
    const failing = writeAhead(parts, 'order.intent', ENTRY, () => {
      throw new RangeError('venue');
    });
    await expect(failing).rejects.toThrow(RangeError);
  });

  it('on a real trail records the intent in front of the outcome, durable', async () => {
    const trail = await startTestTrail({ durability: 'disk' });
    const durable = await trail.writeAhead('order.intent', ENTRY, ({ recordId, durable: is }) => {
      trail.emit('order.placed', { ...ENTRY, 'trading.order.id': recordId ?? '' });
      return is;
    });
    await trail.commit();
    expect(durable).toBe(true);
    const events = (await readBack(trail)).map(({ event }) => event);
    expect(events.indexOf('order.intent')).toBeLessThan(events.indexOf('order.placed'));
  });

  it('on a real trail has many at once share a write, which comes before the first of their acts', async () => {
    const trail = await startTestTrail({ durability: 'disk' });
    const directory = streamDirectory(trail.dataDir, trail.stream.split('/')[1]!);
    const inFile = () => readFileSync(listSegments(directory).at(-1)!.path, 'utf8');
    const missing: (string | undefined)[] = [];
    const before = inFile();
    const sent = Array.from({ length: 64 }, () =>
      trail.writeAhead('order.intent', ENTRY, ({ recordId, durable }) => {
        if (!durable || recordId === undefined || !inFile().includes(recordId)) missing.push(recordId);
      }),
    );
    expect(inFile()).toBe(before);
    expect(trail.health().journal?.waiting.records).toBe(64);
    await Promise.all(sent);
    expect(missing).toEqual([]);
    // By `emit` the same event is with the operating system at once.
    const recordId = trail.emit('order.intent', ENTRY);
    expect(inFile()).toContain(recordId);
  });

  it('acts where the trail is disabled', async () => {
    const trail = await startRiskTrail({ serviceName: 'off', disabled: true, durability: 'disk' });
    expect(await trail.writeAhead('order.intent', ENTRY, ({ durable }) => durable)).toBe(false);
    await trail.commit();
    await trail.close();
  });
});
