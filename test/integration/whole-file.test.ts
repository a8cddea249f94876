import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { writeWhole } from '../../src/analysis/whole-file.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
afterAll(removeTemporaryDirectories);

describe('a file that is written whole', () => {
  it('is not there under its name before it is', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'a.csv');
    const names = await writeWhole(path, async (file) => {
      await writeFile(file, 'whole');
      return readdirSync(directory);
    });
    expect(names).toEqual([expect.stringMatching(/^\.\d+-\d+-risktrail-export\.csv$/)]);
    expect([readdirSync(directory), readFileSync(path, 'utf8')]).toEqual([['a.csv'], 'whole']);
  });

  it('leaves what stood there where it fails, and says which file it was', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'a.csv');
    writeFileSync(path, 'before');
    const failing = writeWhole(path, async (file) => {
      await writeFile(file, 'half');
      throw new Error(`no space left on device, write '${file}'`);
    });
    await expect(failing).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining(path) });
    await expect(failing).rejects.not.toThrow(/risktrail-export/);
    expect([readdirSync(directory), readFileSync(path, 'utf8')]).toEqual([['a.csv'], 'before']);
    const nowhere = join(directory, 'none', 'a.csv');
    await expect(writeWhole(nowhere, (file) => writeFile(file, 'x'))).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.not.stringContaining('risktrail-export'),
    });
  });

  it('keeps the rights of the file that it takes the place of, and the link that leads to it', async () => {
    const directory = temporaryDirectory();
    const [path, link] = [join(directory, 'a.csv'), join(directory, 'link.csv')];
    writeFileSync(path, 'before');
    chmodSync(path, 0o600);
    symlinkSync('a.csv', link);
    await writeWhole(link, (file) => writeFile(file, 'after'));
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['after', 0o600]);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });

  it('may be none: a device is written as it is', async () => {
    await writeWhole('/dev/null', async (file) => {
      expect(file).toBe('/dev/null');
      await writeFile(file, 'x');
    });
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('an export', () => {
  it('of any form leaves nothing beside its file', async () => {
    const trail = temporaryDirectory();
    put(segmentPath(trail, STREAM_A, 0), lines(0, 5));
    const directory = temporaryDirectory();
    for (const format of ['csv', 'jsonl', 'parquet', 'xlsx'] as const) {
      await openTrail(trail).export(format, join(directory, `a.${format}`));
    }
    expect(readdirSync(directory).sort()).toEqual(['a.csv', 'a.jsonl', 'a.parquet', 'a.xlsx']);
  });

  it.skipIf(process.platform !== 'linux')('holds no file of the trail open behind it', async () => {
    const trail = temporaryDirectory();
    put(segmentPath(trail, STREAM_A, 0), lines(0, 60_000));
    await openTrail(trail).export('jsonl', join(temporaryDirectory(), 'a.jsonl'));
    const open = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(join('/proc/self/fd', fd));
      } catch {
        // The one that lists them is closed by now.
        return '';
      }
    });
    expect(open.filter((path) => path.startsWith(trail))).toEqual([]);
  });

  it('that Ctrl-C ends leaves no part of a file, and what was there before', async () => {
    const trail = temporaryDirectory();
    put(segmentPath(trail, STREAM_A, 0), lines(0, 60_000));
    const directory = temporaryDirectory();
    const path = join(directory, 'a.csv');
    writeFileSync(path, 'before');
    const child = spawn(process.execPath, [MAIN, 'export', 'csv', trail, '--output', path], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    await vi.waitFor(() => expect(readdirSync(directory)).toHaveLength(2), { timeout: 60_000, interval: 5 });
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect([readdirSync(directory), readFileSync(path, 'utf8')]).toEqual([['a.csv'], 'before']);
  }, 90_000);
});
