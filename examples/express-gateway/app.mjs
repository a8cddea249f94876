// An order gateway: POST /orders places one on Kraken, DELETE /orders/:id takes it back.
import ccxt from 'ccxt';
import express from 'express';

const exchange = new ccxt.kraken({ apiKey: process.env.KRAKEN_KEY, secret: process.env.KRAKEN_SECRET, timeout: 5000 });
if (process.env.KRAKEN_URL) exchange.urls.api = { public: process.env.KRAKEN_URL, private: process.env.KRAKEN_URL };

const app = express();
app.use(express.json());

app.post('/orders', async (request, response) => {
  const { symbol, side, amount, price } = request.body;
  try {
    const { id } = await exchange.createOrder(symbol, 'limit', side, amount, price);
    response.status(201).json({ id });
  } catch (error) {
    response.status(error instanceof ccxt.NetworkError ? 504 : 422).json({ error: error.constructor.name });
  }
});

app.delete('/orders/:id', async (request, response) => {
  await exchange.cancelOrder(request.params.id);
  response.status(204).end();
});

const server = app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
