import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseAnchor, parseAnchors } from '../../src/audit/anchor/anchor-target.ts';
import { type Anchors, createAnchors } from '../../src/audit/anchor/anchors.ts';
import { splitNotes } from '../../src/audit/anchor/note-list.ts';
import { readAnchors } from '../../src/audit/anchor/read-anchors.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { openTestJournal, segmentPaths, testEvent } from '../support/journal.ts';
import { MadeKey } from '../support/trail-maker.ts';
import { verifyDirectory } from '../support/verify.ts';

const KEY = new MadeKey('bot');
const STREAM = 'bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2';
const OTHER = 'bot/a63d8b4d-5a4c-4a44-8501-9bc29b4b1ded';
const note = (size: number, stream = STREAM, byte = size) => KEY.note(stream, size, Buffer.alloc(32, byte));

let directory: string;
let started: Anchors[];
let servers: Server[];
const errors: string[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-anchors-'));
  started = [];
  servers = [];
  errors.length = 0;
});
afterEach(async () => {
  for (const anchors of started) await anchors.stop(0);
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

function anchorsOf(...targets: readonly string[]): Anchors {
  const anchors = createAnchors(targets.map(parseAnchor), {
    clock: createManualClock(5000),
    onError: (error, what) => void errors.push(`${what}: ${(error as Error).message}`),
    retryMs: 1,
    maxRetryMs: 2,
  });
  started.push(anchors);
  return anchors;
}

/** A webhook that answers as the list says, the last answer for ever, and keeps what it was sent. */
async function webhook(...answers: readonly number[]): Promise<{ url: string; bodies: string[]; types: unknown[] }> {
  const bodies: string[] = [];
  const types: unknown[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const status = answers[Math.min(bodies.length, answers.length - 1)] as number;
    bodies.push(body);
    types.push(request.headers['content-type'], request.headers.authorization);
    if (status === 0) request.socket.destroy();
    else response.writeHead(status, { location: '/elsewhere' }).end('words');
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notes`, bodies, types };
}

const settled = (anchors: Anchors) =>
  vi.waitFor(() => expect(anchors.stats().every(({ pending }) => pending === 0)).toBe(true), 30_000);

describe('the setting of anchors', () => {
  it('names files, directories and addresses', () => {
    expect(parseAnchors(' file:/a/notes , dir:/b,https://u:p@c.example/x?token=1,2,http://d')).toEqual([
      { kind: 'file', path: '/a/notes' },
      { kind: 'dir', path: '/b' },
      { kind: 'webhook', url: 'https://u:p@c.example/x?token=1,2' },
      { kind: 'webhook', url: 'http://d' },
    ]);
    expect(parseAnchors('  ')).toEqual([]);
  });

  it.each(['/a/notes', 'file:', 'ftp://x', 'https://', 'dir:/a,,'])('refuses %j', (text) => {
    if (text === 'dir:/a,,') expect(parseAnchors(text)).toEqual([{ kind: 'dir', path: '/a,,' }]);
    else expect(() => parseAnchors(text)).toThrow('anchors: expected file:PATH');
  });
});

describe('an anchor that is a file', () => {
  it('gets every note, and is read back as a list of them', async () => {
    const path = join(directory, 'deep/anchors.notes');
    const anchors = anchorsOf(`file:${path}`);
    for (const size of [3, 5, 9]) {
      anchors.publish(note(size), STREAM);
      await settled(anchors);
    }
    expect(readFileSync(path, 'utf8')).toBe(`${note(3)}\n${note(5)}\n${note(9)}\n`);
    expect(await readAnchors([path])).toEqual([3, 5, 9].map((size) => ({ path, note: note(size) })));
    expect(anchors.stats()).toEqual([
      {
        ...{ anchor: `file:${path}`, delivered: 3, failures: 0, superseded: 0, pending: 0 },
        ...{ lastSuccessMs: 5000, lastError: undefined },
      },
    ]);
  });

  it('goes on behind what a power cut left, wherever it cut', async () => {
    const whole = `${note(3)}\n`;
    for (let cut = 0; cut <= Buffer.byteLength(whole); cut += 7) {
      const path = join(directory, `cut-${cut}`);
      writeFileSync(path, Buffer.concat([Buffer.from(`${note(2)}\n`), Buffer.from(whole).subarray(0, cut)]));
      const anchors = anchorsOf(`file:${path}`);
      anchors.publish(note(5), STREAM);
      await settled(anchors);
      const read = (await readAnchors([path])).map((anchor) => anchor.note);
      expect(read.filter((one) => one !== note(3))).toEqual([note(2), note(5)]);
      if (cut < Buffer.byteLength(note(3)) - 7) expect(read).toHaveLength(2);
    }
  });
});

describe('an anchor that is a directory', () => {
  it('holds the newest note of each stream', async () => {
    const anchors = anchorsOf(`dir:${directory}`);
    for (const size of [3, 5]) {
      anchors.publish(note(size), STREAM);
      anchors.publish(note(size, OTHER), OTHER);
      await settled(anchors);
    }
    const notes = await readAnchors([directory]);
    expect(notes.map((anchor) => anchor.note)).toEqual([note(5), note(5, OTHER)]);
    expect(notes[0]?.path).toBe(join(directory, STREAM.slice(4), 'checkpoint'));
  });

  it('keeps what the trail would take back, and tells of it', async () => {
    const anchors = anchorsOf(`dir:${directory}`);
    anchors.publish(note(9), STREAM);
    await settled(anchors);
    anchors.publish(note(7), STREAM);
    await vi.waitFor(() => expect(errors.length).toBeGreaterThan(1), 30_000);
    expect(errors[0]).toContain('holds a checkpoint of size 9, above 7');
    expect(anchors.stats()[0]).toMatchObject({ pending: 1, lastError: { timeMs: 5000 } });
    anchors.publish(note(11), STREAM);
    await settled(anchors);
    expect((await readAnchors([directory])).map((anchor) => anchor.note)).toEqual([note(11), note(9)]);
    anchors.publish(note(11, STREAM, 77), STREAM);
    await vi.waitFor(() => expect(errors.at(-1)).toContain('the same size 11 and another root'), 30_000);
  });
});

describe('an anchor that is a webhook', () => {
  it('gets the note as text, with the address’s user, and retries until it is taken', async () => {
    const hook = await webhook(500, 0, 302, 404, 204);
    const anchors = anchorsOf(hook.url.replace('//', '//me:s%20t@').concat('?token=secret'));
    anchors.publish(note(3), STREAM);
    await settled(anchors);
    expect(hook.bodies).toEqual(Array.from({ length: 5 }, () => note(3)));
    expect(hook.types.slice(0, 2)).toEqual([
      'text/plain; charset=utf-8',
      `Basic ${Buffer.from('me:s t').toString('base64')}`,
    ]);
    const [stats] = anchors.stats();
    expect(stats).toMatchObject({ anchor: hook.url, delivered: 1, failures: 4, pending: 0 });
    expect(stats?.lastError?.message).toBe('HTTP 404: words');
    expect(errors.map((error) => error.replace(hook.url, 'URL'))).toEqual([
      'anchor URL: HTTP 500: words',
      'anchor URL: fetch failed',
      'anchor URL: HTTP 302: words',
      'anchor URL: HTTP 404: words',
    ]);
  });

  it('that cannot be reached keeps the newest note of each stream and counts those it stands in for', async () => {
    const hook = await webhook(503);
    const path = join(directory, 'notes');
    const anchors = anchorsOf(hook.url, `file:${path}`);
    for (const size of [3, 5, 9]) anchors.publish(note(size), STREAM);
    anchors.publish(note(4, OTHER), OTHER);
    await vi.waitFor(() => expect(hook.bodies.length).toBeGreaterThan(3), 30_000);
    expect(anchors.stats()[0]).toMatchObject({ delivered: 0, pending: 2, superseded: 2, lastSuccessMs: undefined });
    expect(hook.bodies.at(-1)).toBe(note(9));
    // The other anchor isn't held up.
    await vi.waitFor(() => expect(anchors.stats()[1]).toMatchObject({ pending: 0 }), 30_000);
    const { delivered, superseded } = anchors.stats()[1]!;
    expect(delivered + superseded).toBe(4);
  });

  it('gets a last chance when the trail ends, and no more than that', async () => {
    const [slow, dead] = [await webhook(503, 204), await webhook(503)];
    const anchors = createAnchors([parseAnchor(slow.url), parseAnchor(dead.url)], {
      clock: createManualClock(0),
      onError: () => {},
      retryMs: 1_000_000,
    });
    anchors.publish(note(3), STREAM);
    await vi.waitFor(() => expect(anchors.stats().map(({ failures }) => failures)).toEqual([1, 1]), 30_000);
    await anchors.stop();
    expect(anchors.stats().map(({ pending }) => pending)).toEqual([0, 1]);
    anchors.publish(note(5), STREAM);
    await anchors.stop();
    expect(anchors.stats().map(({ pending }) => pending)).toEqual([0, 1]);
  });

  it('that never answers does not hold up the end', async () => {
    const server = createServer(() => {});
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const anchors = anchorsOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    anchors.publish(note(3), STREAM);
    await once(server, 'request');
    await anchors.stop(1);
    expect(anchors.stats()[0]).toMatchObject({ pending: 1, delivered: 0, failures: 1 });
  });
});

describe('anchors read back', () => {
  it('come from single notes, lists and directories, and nothing else counts in a directory', async () => {
    mkdirSync(join(directory, 'all/.git'), { recursive: true });
    mkdirSync(join(directory, 'all/deep'));
    writeFileSync(join(directory, 'all/README'), 'Some words.\n\nMore of them.\n');
    writeFileSync(join(directory, 'all/.git/note'), note(1));
    writeFileSync(join(directory, 'all/deep/list'), `${note(3)}\r\n`.replaceAll('\r', ''));
    appendFileSync(join(directory, 'all/deep/list'), `\n${note(5)}`);
    writeFileSync(join(directory, 'all/x.jsonl'), note(6));
    symlinkSync(join(directory, 'all/deep/list'), join(directory, 'all/linked'));
    const read = await readAnchors([join(directory, 'all'), join(directory, 'all/deep/list')]);
    expect(read.map((anchor) => anchor.note)).toEqual([3, 5, 3, 5, 3, 5].map((size) => note(size)));
  });

  it('that are none are handed out as they are where a file is named, and refused in a directory', async () => {
    const path = join(directory, 'odd');
    writeFileSync(path, 'no note');
    expect(await readAnchors([path])).toEqual([{ path, note: 'no note' }]);
    await expect(readAnchors([directory])).rejects.toMatchObject({ code: 'ANCHORS_MISSING' });
    await expect(readAnchors([join(directory, 'none')])).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
    expect(readdirSync(directory)).toEqual(['odd']);
  });

  it('keep every byte of a note, further signatures and extension lines too', () => {
    const two = KEY.note(STREAM, 4, Buffer.alloc(32)).replace(/\n\n/, '\nextension\n\n');
    const cosigned = `${note(3)}${note(4).slice(note(4).lastIndexOf('\n\n') + 2)}`;
    expect(splitNotes(`\n\n${cosigned}\n\n\n${two}\n`)).toEqual([cosigned, two]);
    expect(splitNotes('')).toEqual([]);
  });
});

describe('a trail with anchors', () => {
  it('that lost its end is found out by a file of notes, a note, and a directory of either', async () => {
    const dataDir = join(directory, 'data');
    const [file, folder] = [join(directory, 'anchors/all.notes'), join(directory, 'anchors/newest')];
    const anchors = anchorsOf(`file:${file}`, `dir:${folder}`);
    const journal = openTestJournal(dataDir);
    journal.onCheckpoint((checkpoint) => anchors.publish(checkpoint.note, journal.stream));
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) journal.append(testEvent(i));
      await journal.checkpoint();
      await settled(anchors);
    }
    await journal.close('shutdown');
    await anchors.stop();
    expect((await readAnchors([file])).length).toBeGreaterThan(2);
    const verify = (anchor: string) => verifyDirectory(dataDir, { anchors: [anchor] });
    const places = [file, folder, join(folder, journal.streamId, 'checkpoint'), join(directory, 'anchors')];
    for (const place of places) expect(await verify(place)).toEqual({ exitCode: 0, findings: [] });

    const [segment] = segmentPaths(journal) as [string];
    const lines = readFileSync(segment, 'utf8').split('\n');
    writeFileSync(segment, `${lines.slice(0, 12).join('\n')}\n`);
    rmSync(join(journal.directory, 'checkpoint'));
    expect((await verifyDirectory(dataDir)).exitCode).toBe(0);
    for (const place of places) {
      const { exitCode, findings } = await verify(place);
      expect({ exitCode, truncated: findings.includes('TRUNCATED') }).toEqual({ exitCode: 2, truncated: true });
    }
  });
});
