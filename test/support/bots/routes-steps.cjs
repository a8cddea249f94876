/** Services of Express and of Fastify with the same routes, asked over HTTP or HTTPS. Nothing in here knows of risktrail. */
const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');
const { readFileSync } = require('node:fs');

const SERVICES = {
  async express(express, tls) {
    const app = express();
    const router = express.Router();
    router.get('/orders/:id', (request, answer) => answer.json({ id: request.params.id }));
    router.get('/broken/:id', () => {
      throw new Error('broken');
    });
    app.use('/v1', router);
    app.use((_error, _request, answer, _next) => answer.status(500).end());
    const server = tls === undefined ? http.createServer(app) : https.createServer(tls, app);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return { port: server.address().port, close: () => server.close() };
  },
  async fastify(fastify, tls) {
    const app = fastify(tls === undefined ? {} : { https: tls });
    app.register(
      async (part) => {
        part.get('/orders/:id', async (request) => ({ id: request.params.id }));
        part.get('/broken/:id', async () => {
          throw new Error('broken');
        });
      },
      { prefix: '/v1' },
    );
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { port: app.server.address().port, close: () => app.close() };
  },
};

exports.run = async function run(framework, library, key, cert) {
  const tls = key === undefined ? undefined : { key: readFileSync(key), cert: readFileSync(cert) };
  const { port, close } = await SERVICES[framework](library, tls);
  for (const [path, id] of [
    ['/v1/orders/A?signature=abcdef0123456789', 'req-1'],
    ['/v1/broken/B', 'req-2'],
    ['/v1/none', 'req-3'],
  ]) {
    const options = { host: '127.0.0.1', port, path, headers: { 'x-request-id': id }, agent: false };
    const request = tls === undefined ? http.get(options) : https.get({ ...options, rejectUnauthorized: false });
    const [answer] = await once(request, 'response');
    await once(answer.resume(), 'end');
  }
  await close();
};
