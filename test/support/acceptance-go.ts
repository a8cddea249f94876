/** Runs the Go program of `test/acceptance` on the streams of a data directory, and on proofs. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readBlocks } from '../../src/audit/read/files.ts';

const PROGRAM = fileURLToPath(new URL('../acceptance', import.meta.url));

/** Whether Go is on this machine. */
export function hasGo(): boolean {
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A copy of a stream's folder in which nothing is compressed: Go's standard library reads no zstd. */
async function plainCopy(directory: string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'risktrail-acceptance-'));
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(directory, entry.name);
    if (!entry.name.endsWith('.jsonl.zst')) {
      await copyFile(source, join(copy, entry.name));
      continue;
    }
    const target = join(copy, entry.name.slice(0, -'.zst'.length));
    for await (const { bytes } of readBlocks(source)) writeFileSync(target, bytes, { flag: 'a' });
  }
  return copy;
}

/** What the program prints; rejects with its words where anything doesn't fit. */
async function runProgram(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('go', ['run', '.', ...args], { cwd: PROGRAM })).stdout.trim();
}

/** Checks a `*.tlog-proof` and the record beside it. @returns `<stream> <sequence> of <size>` */
export function checkRecordProofWithGo(proof: string, record: string, vkeys: string): Promise<string> {
  return runProgram('record', proof, record, vkeys);
}

/** Checks a `*.consistency-proof`. @returns `<stream> <old size> to <new size>` */
export function checkConsistencyProofWithGo(proof: string, vkeys: string): Promise<string> {
  return runProgram('consistency', proof, vkeys);
}

/** What the program confirmed of a stream. */
export interface GoResult {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
}

/**
 * Opens the newest checkpoint of each unpruned stream of a data directory with `golang.org/x/mod/sumdb/note`, rebuilds the
 * tree with `…/tlog`, and compares. Rejects with the program's words where anything doesn't fit.
 */
export async function checkWithGo(dataDir: string): Promise<GoResult[]> {
  const results: GoResult[] = [];
  for (const stream of readdirSync(join(dataDir, 'streams'))) {
    const copy = await plainCopy(join(dataDir, 'streams', stream));
    try {
      const stdout = await runProgram(copy, join(dataDir, 'verifier.vkey'));
      const [origin, size, root] = stdout.split(' ') as [string, string, string];
      results.push({ origin, size: Number(size), root });
    } finally {
      rmSync(copy, { recursive: true });
    }
  }
  return results;
}
