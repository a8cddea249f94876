/** Starts, stops, kills and restarts a server of the stack on ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
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
  /** Answers 2xx when the server is ready. */
  readonly readyUrl: string;
  readonly readyTimeoutMs: number;
}

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
      const answer = gone ? undefined : await fetch(readyUrl, { signal: AbortSignal.timeout(1000) }).catch(() => {});
      await answer?.body?.cancel();
      if (answer?.ok) return;
      if (gone || performance.now() > end) {
        const state = gone ? 'ended' : `was not ready after ${readyTimeoutMs} ms`;
        throw new Error(`${this.#options.program} ${state}:\n${readFileSync(logFile, 'utf8').slice(-4000)}`);
      }
      await sleep(POLL_MS);
    }
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
