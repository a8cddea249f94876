/** Commands on a terminal of their own, made by script(1) of util-linux. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
/** util-linux's: that of BSD has other options. */
const HAS_SCRIPT = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;
const RECORDS = 200;
const WAIT_MS = 60_000;

let home: string;
let trail: string;
let dir: string;
let children: ChildProcess[];
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'risktrail-pager-'));
  trail = join(home, 'trail');
  put(segmentPath(trail, STREAM_A, 0), lines(0, RECORDS, { attributes: { 'trading.order.id': 'O-1' } }));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeEach(() => {
  dir = mkdtempSync(join(home, 'run-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Shown {
  readonly status: number | null;
  /** What stood on the terminal, without colours and with plain newlines. */
  readonly screen: string;
}

/** Starts a command line of a shell on a terminal of 20 rows. `risktrail` stands for the program. */
function begin(command: string, env: Readonly<Record<string, string>> = {}) {
  const line = command.replace(/\brisktrail(?= )/g, `'${process.execPath}' '${MAIN}'`);
  const child = spawn('script', ['-qec', `stty rows 20 cols 120; ${line}`, '/dev/null'], {
    cwd: dir,
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm',
      RISKTRAIL_DATA_DIR: trail,
      NODE_COMPILE_CACHE: join(home, 'cache'),
      ...env,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  let screen = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    screen += text;
  });
  const done = once(child, 'close').then(
    ([status]): Shown => ({ status, screen: stripVTControlCharacters(screen).replaceAll('\r', '') }),
  );
  return { child, done };
}

const show = (command: string, env?: Readonly<Record<string, string>>): Promise<Shown> => begin(command, env).done;

async function until(path: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!existsSync(path)) {
    if (performance.now() > end) throw new Error(`${path} did not come`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Writes what it is given to the file `paged`, and a word to the terminal. */
const KEEP = 'cat > paged; echo from-the-pager';

describe.skipIf(!HAS_SCRIPT)('on a terminal', { timeout: WAIT_MS }, () => {
  it('a table longer than the screen goes through $PAGER, whole', async () => {
    const { status, screen } = await show('risktrail events', { PAGER: KEEP });
    expect({ status, screen }).toEqual({ status: 0, screen: 'from-the-pager\n' });
    const paged = stripVTControlCharacters(readFileSync(join(dir, 'paged'), 'utf8'));
    expect(paged.trimEnd().split('\n')).toHaveLength(RECORDS + 1);
    expect(paged).toMatch(/^TIME \(UTC\)/);
  });

  it.each([
    ['a query', `risktrail query "SELECT sequence FROM events"`, /^sequence/],
    ['a report', 'risktrail report trading', /^Report trading: /],
    ['an explanation', 'risktrail explain --order O-1', /^Order O-1/],
  ])('%s does, too', async (what, command, begins) => {
    const { status, screen } = await show(`${what === 'an explanation' ? 'stty rows 2; ' : ''}${command}`, {
      PAGER: KEEP,
    });
    expect([status, screen]).toEqual([0, expect.stringMatching(/from-the-pager\n$/)]);
    expect(stripVTControlCharacters(readFileSync(join(dir, 'paged'), 'utf8'))).toMatch(begins);
  });

  it.each([
    ['what fits on the screen', 'risktrail events --limit 3', {}],
    ['--no-pager', 'risktrail events --no-pager', {}],
    ['NO_PAGER', 'risktrail events', { NO_PAGER: '1' }],
    ['JSON', 'risktrail events --json', {}],
    ['what another program reads', 'risktrail events | cat', {}],
  ])('%s is printed as it is', async (_, command, env) => {
    const { status, screen } = await show(command, { PAGER: KEEP, ...env });
    expect(status).toBe(0);
    expect(screen).not.toContain('from-the-pager');
    expect(screen).toContain('order.placed');
    expect(existsSync(join(dir, 'paged'))).toBe(false);
  });

  it.each(['cat', '', 'no-such-pager'])('PAGER=%j prints it as it is', async (PAGER) => {
    const { status, screen } = await show('risktrail events', { PAGER });
    expect([status, screen.trimEnd().split('\n').length]).toEqual([0, RECORDS + 1]);
  });

  it('leaving the pager early is no error, and nothing is printed behind it', async () => {
    const { status, screen } = await show('risktrail events', { PAGER: 'head -n 1' });
    expect([status, screen]).toEqual([0, expect.stringMatching(/^TIME \(UTC\)[^\n]*\n$/)]);
  });

  it('the exit status is the command’s: of a changed record 1, whatever the pager ends with', async () => {
    const changed = join(dir, 'changed');
    const vectors = resolve(import.meta.dirname, '../vectors/trail');
    cpSync(vectors, changed, { recursive: true });
    const segment = segmentPath(changed, STREAM_A, 0);
    const text = readFileSync(segment, 'utf8');
    const line = text.split('\n').find((one) => one.includes('"eventName":"order.placed"'))!;
    const id = /"audit.record.id","value":\{"stringValue":"([^"]+)"/.exec(line)![1]!;
    writeFileSync(segment, text.replace(line, line.replace('"body":{"stringValue":"', '$&Not ')));
    const command = `stty rows 2; risktrail explain --event ${id} ${changed}`;
    expect((await show(command, { PAGER: 'cat > paged; exit 7' })).status).toBe(1);
    expect((await show(command, { PAGER: 'head -n 1' })).status).toBe(1);
  });

  it('Ctrl-C is the pager’s first, and the command ends when the pager has', async () => {
    writeFileSync(
      join(dir, 'pager.sh'),
      `trap 'echo got-it; touch interrupted' INT\nhead -n 1 > paged\ntouch ready\nwhile [ ! -e interrupted ]; do sleep 0.05; done\necho pager-ends\n`,
    );
    // The shell is in the terminal's foreground as well.
    const { child, done } = begin('trap : INT; risktrail events; echo "status $?"', { PAGER: 'sh pager.sh' });
    await until(join(dir, 'ready'));
    child.stdin!.write('\u0003');
    const { screen } = await done;
    expect(screen).toMatch(/got-it\n+pager-ends\n+status (0|130)\n/);
  });

  it('Ctrl-C ends a long work at once, and nothing of it is left', async () => {
    const temporary = join(dir, 'tmp');
    mkdirSync(temporary);
    const { child, done } = begin(
      `trap : INT; risktrail query "SELECT count(*) FROM range(100000000000) AS t(x) WHERE sin(x) > 2"; echo "status $?"`,
      { TMPDIR: temporary },
    );
    const end = performance.now() + WAIT_MS;
    while (!readdirSync(temporary).some((name) => name.startsWith('risktrail-sql-')) && performance.now() < end) {
      await new Promise((next) => setTimeout(next, 50));
    }
    child.stdin!.write('\u0003');
    expect((await done).screen).toMatch(/status 130\n$/);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('a long work shows how far it is, and takes the line away', async () => {
    const { status, screen } = await show(
      `risktrail query "SELECT count(*) AS n FROM range(150000000) AS t(x) WHERE sin(x) > 2"`,
    );
    expect(status).toBe(0);
    expect(screen).toMatch(/reading .* … \d+ s|\d+ %, \d+ s: reading/);
    expect(screen.trimEnd()).toMatch(/n\n0$/);
  });

  it('a file that is written shows how far it is as well, and a pipe never', async () => {
    expect((await show('risktrail events --json | cat > out; wc -l < out')).screen.trim()).toBe(String(RECORDS));
    expect((await show('risktrail export csv > out; wc -l < out')).screen.trim()).toBe(String(RECORDS + 1));
  });
});
