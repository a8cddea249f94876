/** A service with a journal and a shipper, as a process of its own that a test drives and kills. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ackPath, readAcks } from '../../scripts/torture-acks.ts';
import type { AuditRecord } from '../../src/audit/read/reader.ts';
import { recordsByStream } from './journal.ts';

const CHILD = fileURLToPath(new URL('./stack-service-child.ts', import.meta.url));

/** What the process is asked to do. It answers each with a `ServiceAnswer` when it is done. */
export type ServiceCommand =
  /** Emits so many: spread over time, or all in one turn of the event loop. */
  | { readonly kind: 'emit'; readonly records: number; readonly overMs: number }
  /** How things stand. */
  | { readonly kind: 'stats' }
  /** Ends in order, giving the shipper so long. */
  | { readonly kind: 'close'; readonly deadlineMs: number };

export interface ServiceAnswer {
  /** Events that `append` has not refused since the start. */
  readonly taken: number;
  /** Records that are not shipped yet. */
  readonly backlog: number;
  readonly rejected: number;
  /** The newest; empty where there was none. */
  readonly lastError: string;
}

/** The running process. */
export class StackService {
  readonly #child: ChildProcess;
  readonly #ackFile: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<ServiceAnswer>>();
  #asked = 0;

  private constructor(child: ChildProcess, ackFile: string) {
    this.#child = child;
    this.#ackFile = ackFile;
    child.on('message', ({ id, answer }: { id: number; answer: ServiceAnswer }) => {
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    child.on('exit', (status, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the service ended with ${signal ?? status}`));
    });
  }

  /** Starts a service; `life` tells those apart that use one directory. */
  static async start(
    directory: string,
    endpoint: string,
    life = 0,
    env: NodeJS.ProcessEnv = {},
  ): Promise<StackService> {
    const ackFile = ackPath(directory, life);
    const args = [join(directory, 'data'), ackFile, String(life)];
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...env };
    const service = new StackService(fork(CHILD, args, { env: { ...process.env, ...settings } }), ackFile);
    await service.ask({ kind: 'stats' });
    return service;
  }

  /** Records that were acknowledged, also of a process that is dead. */
  get acknowledged(): number {
    return readAcks(this.#ackFile);
  }

  /** Rejects where the service ends before it has answered. */
  ask(command: ServiceCommand): Promise<ServiceAnswer> {
    const id = this.#asked++;
    const answer = Promise.withResolvers<ServiceAnswer>();
    // Whoever kills the service may have stopped waiting for it.
    answer.promise.catch(() => {});
    this.#waiting.set(id, answer);
    this.#child.send({ id, command });
    return answer.promise;
  }

  /** As `kill -9`; waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** What a copy lacks or has otherwise, compared record by record with no part of the product but its reader. */
export interface CopyDifference {
  readonly records: number;
  readonly missing: number;
  readonly different: number;
  /** In the copy, and not in the journal. */
  readonly surplus: number;
}

/** Compares a journal with what a Collector wrote. */
export async function compareCopy(dataDir: string, copyDirectory: string): Promise<CopyDifference> {
  const key = (record: AuditRecord) => `${record.stream} ${record.sequence}`;
  const read = async (directory: string) => {
    const records = [...(await recordsByStream(directory)).values()].flat();
    return new Map(records.map((record) => [key(record), record]));
  };
  const copy = await read(copyDirectory);
  const journal = await read(dataDir);
  let [missing, different] = [0, 0];
  for (const [name, { integrity, recordId, time, body }] of journal) {
    const other = copy.get(name);
    if (other === undefined) missing++;
    else if (other.integrity !== integrity || other.recordId !== recordId) different++;
    else if (other.time !== time || other.body !== body) different++;
  }
  const surplus = [...copy.keys()].filter((name) => !journal.has(name)).length;
  return { records: journal.size, missing, different, surplus };
}
