/**
 * What one check of an order against ten limits costs, span and event included.
 *
 *     node bench/limit-check.bench.ts
 */
import { join } from 'node:path';
import { startRiskTrail } from '../src/index.ts';
import { breathe, quantile, table, temporaryDirectory } from './support.ts';

const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(temporaryDirectory(), 'trail'),
  segmentMaxBytes: 1_000_000_000,
  handleSignals: false,
});
