/**
 * How fast the REST server answers pages of events: `node bench/serve.bench.ts [records] [seconds]` (1,000,000 and 20 unless
 * given). The trail is that of the demo, repeated as streams of one day; the server is a process of its own, and so is the
 * client, which sends 200 requests a second whether or not the ones before were answered (an open loop): a late answer counts
 * from when its request was due.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { createInterface } from 'node:readline';
import { MAIN, makeRepeatedDemo, START_NS } from './repeated-demo.ts';
import { quantile, table, temporaryDirectory } from './support.ts';

const RATE = 200;

async function startServer(trail: string): Promise<{ child: ChildProcess; url: string }> {
  const args = [MAIN, 'serve', trail, '--port', '0', '--rate', '0', '--verify-every', '0'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = / at (http:\S+) /.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error('the server did not start');
}

/** Which requests are sent: by their number, and what the answer to an earlier one was. */
const MIXES: Readonly<Record<string, (n: number, cursor: string | undefined) => string>> = {
  'the newest page': () => '/v1/events?limit=100',
  'one page after the other': (_, cursor) => `/v1/events?limit=100${cursor === undefined ? '' : `&cursor=${cursor}`}`,
  'pages of any time': (n) => {
    const second = (n * 7919) % 80_000;
    const since = new Date(Number(START_NS / 1_000_000n) + second * 1000).toISOString();
    return `/v1/events?limit=100&order=asc&since=${since}`;
  },
  'risk events, newest': () => '/v1/events?limit=100&category=risk',
};

interface Measured {
  readonly latencies: number[];
  readonly failed: number;
}

/** Sends requests in an open loop. */
function load(
  url: string,
  path: (n: number, cursor: string | undefined) => string,
  seconds: number,
): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const latencies: number[] = [];
  let failed = 0;
  let cursor: string | undefined;
  let sent = 0;
  const total = RATE * seconds;
  const start = performance.now();
  return new Promise((resolve) => {
    const answered = () => {
      if (latencies.length + failed < total) return;
      clearInterval(timer);
      agent.destroy();
      resolve({ latencies, failed });
    };
    const send = (due: number) => {
      get(new URL(path(sent, cursor), url), { agent }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          if (response.statusCode === 200) latencies.push(performance.now() - due);
          else failed++;
          const text = Buffer.concat(parts).toString('utf8');
          cursor = /"page":\{"limit":\d+,"order":"desc","next":"([\w-]+)"/.exec(text)?.[1];
          answered();
        });
      }).on('error', () => {
        failed++;
        answered();
      });
    };
    const timer = setInterval(() => {
      while (sent < total) {
        const due = start + (sent * 1000) / RATE;
        if (due > performance.now()) return;
        send(due);
        sent++;
      }
    }, 1);
  });
}

async function main(): Promise<void> {
  if (process.argv[2] === 'load') {
    const [, , , url, mix, seconds] = process.argv as string[];
    const { latencies, failed } = await load(url!, MIXES[mix!]!, Number(seconds));
    process.stdout.write(
      JSON.stringify({
        p50: quantile(latencies, 0.5),
        p95: quantile(latencies, 0.95),
        p99: quantile(latencies, 0.99),
        max: quantile(latencies, 1),
        failed,
      }),
    );
    return;
  }
  const records = Number(process.argv[2] ?? 1_000_000);
  const seconds = Number(process.argv[3] ?? 20);
  const trail = process.env['BENCH_TRAIL'] ?? makeRepeatedDemo(temporaryDirectory(), records).path;
  const { child, url } = await startServer(trail);
  const rows: (string | number)[][] = [];
  try {
    for (const mix of Object.keys(MIXES)) {
      for (const round of ['warming', 'measured']) {
        const client = spawn(
          process.execPath,
          [import.meta.filename, 'load', url, mix, round === 'warming' ? '5' : String(seconds)],
          { stdio: ['ignore', 'pipe', 'inherit'] },
        );
        let text = '';
        client.stdout.on('data', (part) => {
          text += part;
        });
        await once(client, 'close');
        if (round === 'warming') continue;
        const { p50, p95, p99, max, failed } = JSON.parse(text) as Record<string, number>;
        rows.push([mix, p50!, p95!, p99!, max!, String(failed)]);
      }
    }
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    console.log(`${records} records, ${RATE} requests/s for ${seconds} s, open loop; milliseconds\n`);
    console.log(table(['/v1/events?limit=100', 'p50', 'p95', 'p99 (aim: 50)', 'max', 'failed'], rows));
    console.log(`\nRSS of the server: ${Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000)} MB`);
  } finally {
    child.kill('SIGTERM');
    await once(child, 'close');
  }
}

await main();
