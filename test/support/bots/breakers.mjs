// Two breakers that trip and recover, and lines by three loggers. Nothing in here knows of risktrail.
import { setTimeout as wait } from 'node:timers/promises';
import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel';
import CircuitBreaker from 'opossum';
import pino from 'pino';
import winston from 'winston';

let down = true;
const call = async () => {
  if (down) throw new Error('venue down');
  return 'ok';
};
const quiet = (promise) => promise.catch(() => undefined);

const breaker = new CircuitBreaker(call, {
  name: 'broker',
  errorThresholdPercentage: 1,
  resetTimeout: 30,
  timeout: 5000,
});
await quiet(breaker.fire());
await quiet(breaker.fire());
down = false;
while (!breaker.halfOpen) await wait(5);
await breaker.fire();

down = true;
const policy = circuitBreaker(handleAll, { halfOpenAfter: 30, breaker: new ConsecutiveBreaker(2) });
await quiet(policy.execute(call));
await quiet(policy.execute(call));
await policy.execute(call).catch((error) => {
  if (!(error instanceof BrokenCircuitError)) throw error;
});
down = false;
await wait(60);
await policy.execute(call);
policy.isolate();
await quiet(policy.execute(call));

const log = pino({ name: 'engine', level: 'debug' }, pino.destination({ dest: 2, sync: true })).child({ desk: 'd1' });
log.debug({ apiKey: 'sk_live_thisisasecretkey1234', n: 1 }, 'a detail');
log.info('halted by the operator');
log.error(new Error('engine failed'));
const other = winston.createLogger({
  level: 'info',
  defaultMeta: { service: 'router' },
  transports: [new winston.transports.Console({ forceConsole: true })],
});
other.warn('route lost', { 'trading.symbol': 'BTC/USD', hop: 2 });
other.debug('not enabled');
console.error('plain %s', 'text');
