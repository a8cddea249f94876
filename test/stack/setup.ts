/** Before the tests of the stack: finds or builds the servers, or says in a line what is passed over. */
import { stackBinary } from '../support/stack-binaries.ts';
import { composeStack } from '../support/stack-servers.ts';

export default async function setup(): Promise<void> {
  if (composeStack() !== undefined) return;
  for (const server of ['otelcol', 'loki'] as const) {
    const binary = await stackBinary(server);
    if (binary.path === undefined) console.warn(`Tests are passed over: ${binary.reason}.`);
  }
  const lacking = ['Tempo', 'Grafana'].filter((name) => !process.env[`${name.toUpperCase()}_BIN`]);
  if (lacking.length === 0) return;
  const words = `What needs ${lacking.join(' and ')} is passed over: ${lacking.map((name) => `${name.toUpperCase()}_BIN`).join(' and ')} name no program.`;
  if (process.env['RISKTRAIL_REQUIRE_STACK'] === '1') throw new Error(words);
  console.warn(words);
}
