/** A service that knows one exchange: halted, killed and started again by its test. Arguments: data directory, venue, options. */
import { startRiskTrail } from '../../src/index.ts';
import { killExchange } from './venues/kill-exchange.ts';

const [dataDir = '', url = '', options = '{}'] = process.argv.slice(2);
const { kill, arm, ...armed } = JSON.parse(options);
const trail = await startRiskTrail({ serviceName: 'bot', dataDir, logLevel: 'off', stallBudgetMs: 0 });
const exchange = killExchange(url);
if (arm !== false) trail.armKillSwitch({ exchange, timeoutMs: 500, backoffMs: 20, ...armed });
if (kill !== undefined)
  void trail.killSwitch({ exchange, timeoutMs: 500, backoffMs: 20, actor: 'bot', reason: 'test', ...kill });
console.log(`ready ${trail.gate.state()}`);
setInterval(() => {}, 1000);
