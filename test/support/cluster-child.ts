/**
 * A service of three processes (cluster) and two worker threads, each with a trail of its own in one data directory. Argument:
 * data directory. Every part prints its stream's name when it is done.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { isMainThread, threadId, Worker, workerData } from 'node:worker_threads';
import { startRiskTrail } from '../../src/index.ts';

const dataDir: string = isMainThread ? process.argv[2]! : workerData;
const EVENTS = 200;

async function work(): Promise<void> {
  const trail = await startRiskTrail({ serviceName: 'many', dataDir, checkpointRecords: 20, logLevel: 'off' });
  const source = `${process.pid}/${threadId}`;
  for (let i = 0; i < EVENTS; i++) {
    trail.withContext({ executionId: source }, () => trail.emit('system.error', { operation: `${source} ${i}` }));
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  writeSync(1, `${trail.stream}\n`);
  await trail.close('done');
}

if (isMainThread && cluster.isPrimary) {
  cluster.setupPrimary({ exec: import.meta.filename, args: [dataDir] });
  const parts = [cluster.fork(), cluster.fork(), cluster.fork()];
  const threads = [1, 2].map(() => new Worker(import.meta.filename, { workerData: dataDir }));
  const codes = await Promise.all([...parts, ...threads].map(async (part) => (await once(part, 'exit'))[0]));
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
} else {
  await work();
  if (isMainThread) process.disconnect();
}
