/** Two breakers that trip and recover, and lines by four loggers. Nothing in here knows of risktrail. */
const { once } = require('node:events');
const { createServer } = require('node:http');
const { setTimeout: wait } = require('node:timers/promises');

exports.run = async function run({ cockatiel, CircuitBreaker, pino, winston, bunyan }) {
  const { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleAll } = cockatiel;
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

  // Lines of a request stand in its trace.
  const server = createServer((_request, answer) => {
    lines(pino, winston, bunyan);
    answer.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', connection: 'close' };
  await fetch(`http://127.0.0.1:${server.address().port}/`, { headers });
  server.close();
};

function lines(pino, winston, bunyan) {
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
  const desk = bunyan
    .createLogger({ name: 'desk', level: 'debug', serializers: bunyan.stdSerializers, streams: streams() })
    .child({ floor: 3 });
  desk.trace('not enabled');
  desk.debug({ token: 'sk_live_thisisasecretkey1234', n: 2 }, 'a word of %s', 'the desk');
  desk.info('flat by the desk');
  desk.fatal(new Error('desk failed'));
  console.error('plain %s', 'text');
}

/** A stream of text, and one of the program's own that prints by the console. */
const streams = () => [
  { level: 'debug', stream: process.stderr },
  { level: 'debug', type: 'raw', stream: { write: (record) => console.log('printed: %s', record.msg) } },
];
