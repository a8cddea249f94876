/** Starts, stops, kills and restarts a server of the stack on ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const KEEPER = fileURLToPath(new URL('./stack-keeper.ts', import.meta.url));
const POLL_MS = 50;
/** A server that takes longer to end in order is killed. */
const STOP_TIMEOUT_MS = 10_000;

/** Ports of the loopback interface that nobody uses at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** What runs, and how to see that it is ready. */
export interface StackServerOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Takes what the server prints. */
  readonly logFile: string;
  /** Answers 2xx when the server is ready; of `tcp:`, takes a connection. */
  readonly readyUrl: string;
  readonly readyTimeoutMs: number;
}

async function isReady(url: URL): Promise<boolean> {
  if (url.protocol === 'tcp:') {
    const socket = connect(Number(url.port), url.hostname);
    const taken = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    return taken;
  }
  const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => {});
  await answer?.body?.cancel();
  return answer?.ok === true;
}

/** What a process has used since its start. */
export interface ProcessUsage {
  /** The most memory that it had at a time. */
  readonly peakBytes: number;
  readonly residentBytes: number;
  /** User and system. */
  readonly cpuMs: number;
}

/** `/proc` counts processor time in hundredths of a second, whatever the machine's own clock does. */
const TICK_MS = 10;

/** A server that ends with the process that started it. */
export class StackProcess {
  readonly #options: StackServerOptions;
  #child: ChildProcess | undefined;

  constructor(options: StackServerOptions) {
    this.#options = options;
  }

  /** Starts it, on the same ports and directories each time, and waits until it is ready. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error('the server runs already');
    const { program, args, env, logFile } = this.#options;
    const log = openSync(logFile, 'a');
    const child = spawn(process.execPath, [KEEPER, program, ...args], {
      env: { ...process.env, ...env },
      stdio: ['pipe', log, log],
      // Its own group: an interrupt at the terminal doesn't reach it before the test has stopped it in order.
      detached: true,
    });
    closeSync(log);
    child.stdin!.on('error', () => {
      // It ended while it was told to.
    });
    this.#child = child;
    try {
      await this.#ready();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  async #ready(): Promise<void> {
    const { readyUrl, readyTimeoutMs, logFile } = this.#options;
    const end = performance.now() + readyTimeoutMs;
    for (;;) {
      const gone = this.#child?.exitCode !== null;
      if (!gone && (await isReady(new URL(readyUrl)))) return;
      if (gone || performance.now() > end) {
        const state = gone ? 'ended' : `was not ready after ${readyTimeoutMs} ms`;
        throw new Error(`${this.#options.program} ${state}:\n${readFileSync(logFile, 'utf8').slice(-4000)}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Settles when a server that runs ends, by itself or not. */
  async ended(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await once(child, 'exit');
  }

  /** What the running server has used, by Linux's `/proc`. */
  usage(): ProcessUsage {
    const keeper = this.#child?.pid;
    if (keeper === undefined) throw new Error('the server does not run');
    const pid = readFileSync(`/proc/${keeper}/task/${keeper}/children`, 'utf8').trim();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    // Behind the name, which may hold anything: state, parent, … and the 12th and 13th are the ticks.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return {
      peakBytes: kilobytes('VmHWM') * 1024,
      residentBytes: kilobytes('VmRSS') * 1024,
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    };
  }

  /** Kills it at once, as `kill -9` does, and waits until it is gone. Again does nothing. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Lets it end in order. Again does nothing. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.stdin!.write(`${signal}\n`);
    const impatient = setTimeout(() => child.stdin!.write('SIGKILL\n'), STOP_TIMEOUT_MS);
    await exit;
    clearTimeout(impatient);
  }
}
