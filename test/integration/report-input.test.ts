/** What a report says of a trail, or of a question, with which something is wrong: one line, and never a silent zero. */
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { addReportCommand } from '../../src/cli/commands/report.ts';
import { runCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';
import { journalOf, MadeKey, makeDirectory, makeStream } from '../support/trail-maker.ts';

const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';
const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const report = (...args: readonly string[]) => runCommand(addReportCommand, ['report', ...args]);
const refused = (...args: readonly string[]) =>
  report(...args).then(
    () => 'nothing',
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  );

function smallTrail(): string {
  const dir = temporaryDirectory();
  put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
  put(segmentPath(dir, STREAM_A, 10), lines(10, 20));
  return dir;
}

/** A trail of 40 records, one of which says something else than when it was written. */
function changedTrail(): string {
  const stream = makeStream(new MadeKey('bot'), UUID);
  stream.records[7]!.attributes['trading.quantity'] = 7000;
  const directory = makeDirectory(journalOf(stream));
  directories.push(directory);
  return directory;
}

describe('a report', () => {
  it('of a trail with findings carries a warning in each of its forms, and ends with 1', async () => {
    const dir = changedTrail();
    const text = await report('audit', dir, '--verify');
    expect([text.status, text.err]).toEqual([1, expect.stringMatching(/^risktrail: verification found [^\n]+\n$/)]);
    expect(text.out).toMatch(/^Warning: verification found /m);
    const json = await report('audit', dir, '--verify', '--json');
    expect([json.status, JSON.parse(json.out).integrity.status]).toEqual([1, 'findings']);
    const page = await report('audit', dir, '--verify', '--html', '-');
    expect([page.status, page.out.includes('verification found')]).toEqual([1, true]);
    const cached = await report('audit', dir, '--verify', '--cache');
    expect([cached.status, cached.out]).toEqual([1, text.out]);
  });

  it('that stands on unverified records says that they are', async () => {
    expect((await report('audit', smallTrail())).out).toMatch(/^Warning: the records were not verified/m);
  });

  it('refuses times that are none, and ranges that end before they begin, in one line', async () => {
    const dir = smallTrail();
    for (const time of ['2020-13-01', '2020-02-30', 'yesterday', '', '25:61', '2020-01-01T99:00'])
      expect([time, await refused('daily', dir, '--from', time)]).toEqual([
        time,
        expect.stringMatching(/^OPTION_INVALID --from: expected [^\n]+$/),
      ]);
    expect(await refused('trading', dir, '--from', '2020-02-02', '--to', '2020-02-01')).toMatch(
      /^OPTION_INVALID --to: expected a time from 2020-02-02T00:00:00.000000000Z on, [^\n]*2020-02-01[^\n]*$/,
    );
  });

  it('that stands on nothing says so, with and without a cache', async () => {
    const dir = smallTrail();
    for (const cache of [[], ['--cache']]) {
      const { status, out, err } = await report('trading', dir, '--from', '2031-01-01', ...cache);
      expect([status, err]).toEqual([0, 'risktrail: no record of the trail is within what was asked for\n']);
      expect(out).toMatch(/total_pnl +undefined .*because no trade was closed/);
    }
    const empty = temporaryDirectory();
    expect(await refused('daily', empty, '--cache')).toMatch(/^NO_TRAIL_FILES [^\n]+$/);
    expect(await refused('daily', join(empty, 'nowhere'))).toMatch(/^PATH_NOT_FOUND [^\n]+$/);
  });

  it('of a trail that is written and pruned between two is of what is there then, cache or not', async () => {
    const dir = smallTrail();
    const records = async (...args: readonly string[]) =>
      JSON.parse((await report('audit', dir, '--json', ...args)).out).records;
    expect([await records(), await records('--cache')]).toEqual([20, 20]);
    appendFileSync(segmentPath(dir, STREAM_A, 10), `${lines(20, 23)}{"resourceLogs":[{"scopeLo`);
    expect([await records(), await records('--cache')]).toEqual([23, 23]);
    rmSync(segmentPath(dir, STREAM_A, 0));
    expect([await records(), await records('--cache')]).toEqual([13, 13]);
  });
});
