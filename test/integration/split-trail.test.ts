import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { parseSplitRule, splitTrail } from '../../src/analysis/split-trail.ts';
import { addTailCommand } from '../../src/cli/commands/tail.ts';
import { runCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { line, lines, put, STREAM_A, STREAM_B, segmentPath } from '../support/trail-lines.ts';

const CLI = join(import.meta.dirname, '../../src/cli/main.ts');

function files(directory: string): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const name of readdirSync(directory).filter((one) => one.endsWith('.jsonl'))) {
    const text = readFileSync(join(directory, name), 'utf8');
    const its = text.split('\n').filter(Boolean);
    if (its.length > 0) found[name] = its.map((one) => (JSON.parse(one) as FlatRecord).sequence!);
  }
  return found;
}

const place = () => {
  const root = temporaryDirectory();
  return { data: join(root, 'data'), logs: join(root, 'logs') };
};
const tail = (...args: string[]) => runCommand(addTailCommand, ['tail', ...args]);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('risktrail tail --split', () => {
  it('writes a file for each category and one of everything; again it adds what is new alone', async () => {
    const { data, logs } = place();
    const path = segmentPath(data, STREAM_A, 0);
    put(
      path,
      line(0) +
        line(1, { event: 'trade.entry' }) +
        line(2, { event: 'risk.reconciliation.difference' }) +
        line(3, { event: 'api.error', severityNumber: 17 }) +
        line(undefined),
    );
    const first = await tail(data, '--split', logs, '--no-follow');
    expect(first).toMatchObject({ status: 0, out: '' });
    // The difference is of risk, positions and orders, and an error by its severity here only where it is one.
    expect(files(logs)).toEqual({
      ...{ 'all.jsonl': [0, 1, 2, 3], 'order.jsonl': [0, 2], 'trade.jsonl': [1], 'risk.jsonl': [2] },
      ...{ 'position.jsonl': [2], 'api.jsonl': [3], 'error.jsonl': [3] },
    });
    appendFileSync(path, line(4));
    await tail(data, '--split', logs, '--no-follow');
    expect(await tail(data, '--split', logs, '--no-follow')).toMatchObject({ err: `0 lines written to ${logs}\n` });
    expect(files(logs)).toMatchObject({ 'all.jsonl': [0, 1, 2, 3, 4], 'order.jsonl': [0, 2, 4], 'trade.jsonl': [1] });
    expect(statSync(join(logs, 'all.jsonl')).mode & 0o777).toBe(0o600);
  });

  it('writes files by rules, of categories, events, services and streams, and keeps to the filter', async () => {
    const { data, logs } = place();
    put(segmentPath(data, STREAM_A, 0), line(0) + line(1, { event: 'trade.entry' }) + line(2, { event: 'trade.exit' }));
    put(segmentPath(data, STREAM_B, 0), line(7, { stream: STREAM_B, event: 'api.error', severityNumber: 17 }));
    const into = ['trades=trade,order', 'exits=event:trade.ex*', `b=stream:${STREAM_B}`, 'bot=service:bot', 'audit=*'];
    const rules = into.flatMap((one) => ['--into', one]);
    await tail(data, '--split', logs, '--no-follow', ...rules);
    expect(files(logs)).toEqual({
      ...{ 'trades.jsonl': [0, 1, 2], 'exits.jsonl': [2], 'b.jsonl': [7] },
      ...{ 'bot.jsonl': [0, 1, 2, 7], 'audit.jsonl': [0, 1, 2, 7] },
    });
    await tail(data, '--split', `${logs}2`, '--no-follow', '--severity', 'ERROR', '--into', 'all=*');
    expect(files(`${logs}2`)).toEqual({ 'all.jsonl': [7] });
    for (const wrong of ['x', '=order', '../x=order', 'x=oder', 'x=event:']) {
      expect(() => parseSplitRule(wrong), wrong).toThrow('--into: expected');
    }
    expect(() => parseSplitRule('x=oder')).toThrow('did you mean "order"?');
  });

  it('neither repeats nor loses a line where segments are sealed, a file was moved, or the state is gone', async () => {
    const { data, logs } = place();
    const path = segmentPath(data, STREAM_A, 0);
    put(path, lines(0, 5));
    const run = () => splitTrail([data], { directory: logs, rules: [parseSplitRule('all=*')], follow: false });
    expect(await run()).toBe(5);
    put(`${path}.zst`, zstdCompressSync(readFileSync(path)));
    rmSync(path);
    const next = segmentPath(data, STREAM_A, 5);
    put(next, lines(5, 8));
    expect(await run()).toBe(3);
    renameSync(join(logs, 'all.jsonl'), join(logs, 'all.1'));
    appendFileSync(next, lines(8, 9));
    expect(await run()).toBe(1);
    expect(files(logs)).toEqual({ 'all.jsonl': [8] });
    renameSync(join(logs, 'all.1'), join(logs, 'all.jsonl'));
    // Cut in the midst of a line, and how far it got is not known: what stands there is read.
    rmSync(join(logs, '.split.json'));
    appendFileSync(join(logs, 'all.jsonl'), '{"stream":"bot');
    expect(await run()).toBe(1);
    expect(files(logs)).toEqual({ 'all.jsonl': upTo(9) });
  });

  it('killed again and again while the trail grows: each line stands once in its files', {
    timeout: 180_000,
  }, async () => {
    const { data, logs } = place();
    const path = segmentPath(data, STREAM_A, 0);
    put(path, lines(0, 2000));
    let count = 2000;
    const grow = (by: number) => {
      appendFileSync(path, lines(count, count + by));
      count += by;
    };
    const all = join(logs, 'all.jsonl');
    for (let kill = 0; kill < 5; kill++) {
      const before = existsSync(all) ? statSync(all).size : 0;
      const child = spawn(process.execPath, [CLI, 'tail', data, '--split', logs], { stdio: 'ignore' });
      const ended = once(child, 'exit');
      const growing = setInterval(() => grow(50), 5);
      // Killed as soon as it has written something, at another point each time.
      const deadline = performance.now() + 60_000;
      while (performance.now() < deadline && !(existsSync(all) && statSync(all).size > before + kill * 20_000)) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      child.kill('SIGKILL');
      await ended;
      clearInterval(growing);
      expect(statSync(all).size).toBeGreaterThan(before);
    }
    await tail(data, '--split', logs, '--no-follow');
    const { 'all.jsonl': everything, 'order.jsonl': orders } = files(logs);
    expect(everything).toEqual(upTo(count));
    expect(orders).toEqual(upTo(count));
  });

  it('refuses a directory within the trail, one of another trail, and one that is being written to', async () => {
    const { data, logs } = place();
    put(segmentPath(data, STREAM_A, 0), lines(0, 1));
    await expect(tail(data, '--split', join(data, 'logs'), '--no-follow')).rejects.toThrow(
      '--split: expected a directory outside of',
    );
    const other = place().data;
    put(segmentPath(other, STREAM_B, 0), lines(0, 1, { stream: STREAM_B }));
    await tail(data, '--split', logs, '--no-follow');
    await expect(tail(other, '--split', logs, '--no-follow')).rejects.toThrow(
      `a directory for ${other}; this one is of`,
    );
    const stop = new AbortController();
    let looked = () => {};
    const looking = new Promise<void>((resolve) => {
      looked = resolve;
    });
    const running = splitTrail([data], { directory: logs, signal: stop.signal, onLook: () => looked() });
    await looking;
    await expect(splitTrail([data], { directory: logs, follow: false })).rejects.toThrow('no other process writes to');
    stop.abort();
    await running;
  });

  it('follows: a new record is in its file', async () => {
    const { data, logs } = place();
    const path = segmentPath(data, STREAM_A, 0);
    put(path, lines(0, 1));
    const stop = new AbortController();
    let count = 0;
    const running = splitTrail([data], {
      directory: logs,
      rules: [parseSplitRule('all=*')],
      signal: stop.signal,
      onLook(written) {
        if (count === 0) appendFileSync(path, lines(1, 3));
        count = written;
        if (written === 3) stop.abort();
      },
    });
    expect(await running).toBe(3);
    expect(files(logs)).toEqual({ 'all.jsonl': [0, 1, 2] });
  });
});
