/**
 * Property tests draw the same values in every run, so that a failure is a change's and never a day's. To look for more,
 * give another seed: `FC_SEED=7 npm run test:unit`.
 */
import fc from 'fast-check';
import { afterAll } from 'vitest';
import { removeTemporaryDirectories } from './temporary.ts';
import { putAsideTestVariables } from './test-variables.ts';

putAsideTestVariables();

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20_261_121) });

// A busy machine is not to be taken for a slow disk; child processes inherit it.
process.env['RISKTRAIL_STALL_BUDGET_MS'] ??= '0';

afterAll(removeTemporaryDirectories);
