/** Before the tests of the stack: finds or builds the servers, or says why their tests are passed over. */
import { stackBinary } from '../support/stack-binaries.ts';

export default async function setup(): Promise<void> {
  for (const server of ['otelcol', 'loki'] as const) {
    const binary = await stackBinary(server);
    if (binary.path === undefined) console.warn(`Tests are passed over: ${binary.reason}.`);
  }
}
