/**
 * Exporters that are loaded once there is something to export. The stock ones bring a hundred files and Node's HTTP client: a
 * program's start need not wait for them, and a program that exports nothing never has them.
 */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';

/** What exporters of logs, spans and metrics have in common. */
export interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

type Env = Readonly<Record<string, string | undefined>>;

const READ_BY_EXPORTERS = /^OTEL_EXPORTER_/;

/**
 * `make`, which finds the variables that exporters read as they are in `env` now: a program may delete its secrets from
 * `process.env` once it runs.
 */
export function withVariablesOf<A, T>(env: Env, make: (argument: A) => T): (argument: A) => T {
  const kept = Object.entries(env).filter(([name]) => READ_BY_EXPORTERS.test(name));
  return (argument) => {
    const now = process.env;
    const seen = Object.fromEntries(Object.entries(now).filter(([name]) => !READ_BY_EXPORTERS.test(name)));
    process.env = { ...seen, ...Object.fromEntries(kept) };
    try {
      return make(argument);
    } finally {
      process.env = now;
    }
  };
}

/** An exporter in whose place another one is loaded with the first export, or by {@link LazyExporter.prepare}. */
export class LazyExporter<T> implements Exporter<T> {
  readonly #load: () => Promise<Exporter<T>>;
  #loaded: Promise<Exporter<T>> | undefined;

  /** @param load may reject: each export fails then */
  constructor(load: () => Promise<Exporter<T>>) {
    this.#load = load;
  }

  /** Begins to load it. Never throws. */
  prepare(): void {
    this.#get().catch(() => {
      // Told by the export that fails.
    });
  }

  #get(): Promise<Exporter<T>> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  export(items: T, done: (result: ExportResult) => void): void {
    const fail = (error: unknown) => done({ code: ExportResultCode.FAILED, error: error as Error });
    this.#get().then((exporter) => {
      try {
        exporter.export(items, done);
      } catch (error) {
        fail(error);
      }
    }, fail);
  }

  async forceFlush(): Promise<void> {
    const exporter = await this.#ready();
    await exporter?.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    const exporter = await this.#ready();
    await exporter?.shutdown();
  }

  /** The exporter, where it was loaded and could be. */
  async #ready(): Promise<Exporter<T> | undefined> {
    try {
      return await this.#loaded;
    } catch {
      return undefined;
    }
  }
}
