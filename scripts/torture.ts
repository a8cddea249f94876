/**
 * Kills the trail's processes at random moments, and shows what became of the records.
 *
 *     npm run torture -- --kills 1000 --records 10000000 --seed 1
 *
 * `--dir` names an empty directory and keeps what came of it; `--life` is the mean time from a process's readiness to its
 * death, in milliseconds; `--segment` the size of a segment in bytes. Ends with status 1 where a record was lost or anything
 * doesn't verify.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTorture, tortureFailures } from './torture-report.ts';
import { torture } from './torture-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    records: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: '1' },
    life: { type: 'string', default: '700' },
    segment: { type: 'string', default: '2000000' },
    dir: { type: 'string' },
  },
});

const directory = values.dir ?? mkdtempSync(join(tmpdir(), 'risktrail-torture-'));
mkdirSync(directory, { recursive: true });
try {
  const options = {
    directory,
    kills: Number(values.kills),
    records: Number(values.records),
    seed: Number(values.seed),
    lifeMs: Number(values.life),
    segmentMaxBytes: Number(values.segment),
    pruning: true,
  };
  let shown = 0;
  const result = await torture({
    ...options,
    onProgress({ kills, records }) {
      if (kills - shown < options.kills / 20) return;
      shown = kills;
      console.error(`${kills} kills, ${records.toLocaleString('en')} records acknowledged`);
    },
  });
  console.log(formatTorture(options, result));
  if (tortureFailures(result).length > 0) process.exitCode = 1;
} finally {
  if (values.dir === undefined) rmSync(directory, { recursive: true, force: true });
}
