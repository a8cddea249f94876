import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

const written = { out: '', err: '' };
beforeEach(() => {
  written.out = '';
  written.err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.err += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

const TRAIL = 'test/vectors/trail';

describe('the command line', () => {
  it.each<[readonly string[], number]>([
    [['--version'], 0],
    [['help', 'events'], 0],
    [['events', TRAIL, '-n', '1'], 0],
    [['events', TRAIL, '--symbol', 'none'], 0],
    [['verify', TRAIL], 0],
    [['schema', 'order.*'], 0],
    [['events', TRAIL, '-n', '0'], 3],
    [['events', TRAIL, '--severity', 'loud'], 3],
    [['events', TRAIL, '--where', 'x'], 3],
    [['schema', '--all'], 3],
    [['help', 'evnts'], 3],
  ])('%j exits %i', async (args, status) => {
    expect(await runCli(args)).toBe(status);
    process.exitCode = undefined;
    if (status === 3) expect(written.err).not.toBe('');
    if (status === 3 && args[0] !== 'help') expect(written.err).toMatch(/^risktrail: [^\n]+\n$/);
  });

  it('gathers options that are given several times', async () => {
    const args = [
      'events',
      TRAIL,
      '--json',
      '-e',
      'audit.stream_opened',
      '--event',
      'audit.stream_closed',
      '-w',
      'sequence>0',
      '-w',
      'sequence<400',
    ];
    expect(await runCli(args)).toBe(0);
    const events = written.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    expect(events).toEqual(['audit.stream_closed']);
  });
});
