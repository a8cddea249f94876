/** Makes a report with a cache and prints how many records it stands on: `cache-child.ts TRAIL CACHE`. */
import { openTrail } from '../../src/analysis/index.ts';

const [trailPath, cache] = process.argv.slice(2);
await using trail = openTrail(trailPath!, { cache: cache! });
process.stdout.write('building\n');
const { records } = await trail.report.audit();
process.stdout.write(`${records}\n`);
