/** A gateway that, for one request, places an order and asks every kind of server that is around. Nothing in here knows of risktrail. */
const { once } = require('node:events');

const KEY = 'KEYOFTHEBOTKEYOFTHEBOT';
const SECRET = 'secret-of-the-bot-secret-of-the-bot';
const SIGNATURE = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const TOKEN = 'sk_live_thisisasecretkey1234';

async function everything({ binance, http, undici, pg, Redis, kafkajs }, venue, ports) {
  const client = new binance.MainClient({ api_key: KEY, api_secret: SECRET, baseUrl: venue });
  await client.submitNewOrder({
    ...{ symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', quantity: 0.5, price: 61_000, timeInForce: 'GTC' },
  });
  const signed = (path) => `${venue}${path}?timestamp=1&recvWindow=5000&signature=${SIGNATURE}`;
  const headers = { 'X-MBX-APIKEY': KEY };
  await (await fetch(signed('/by-fetch'), { headers })).text();
  await (await undici.request(signed('/by-undici'), { headers })).body.text();
  const [answer] = await once(http.get(signed('/by-http'), { headers }), 'response');
  await once(answer.resume(), 'end');

  const database = new pg.Client({
    host: '127.0.0.1',
    port: ports.postgres,
    user: 'desk',
    password: SECRET,
    database: 'fills',
  });
  await database.connect();
  await database.query(`UPDATE venues SET api_key='${TOKEN}' WHERE id = 7`);
  await database.end();

  const redis = new Redis({ port: ports.redis, enableReadyCheck: false, password: SECRET, lazyConnect: true });
  await redis.connect();
  await redis.set('session', TOKEN);
  redis.disconnect();

  const kafka = new kafkajs.Kafka({ brokers: [`127.0.0.1:${ports.kafka}`], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic: 'fills', messages: [{ key: 'BTC', value: TOKEN }] });
  await producer.disconnect();
}

exports.run = async function run(libraries, venue, postgres, redis, kafka) {
  const ports = { postgres: Number(postgres), redis: Number(redis), kafka: Number(kafka) };
  const server = libraries.http.createServer((_request, answer) => {
    everything(libraries, venue, ports).then(
      () => answer.end('done'),
      (error) => answer.writeHead(500).end(String(error.stack)),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/orders`, { headers: { connection: 'close' } });
  process.stdout.write(`${await answer.text()}\n`);
  server.close();
};
