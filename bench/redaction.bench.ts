/** What masking and the context cost: nanoseconds per string or attribute. `node bench/redaction.bench.ts` */
import { ATTRIBUTES } from '../src/catalog/attributes.ts';
import { activeContextAttributes, runWithContext } from '../src/telemetry/context.ts';
import { startTelemetry } from '../src/telemetry/providers.ts';
import { createRedactor } from '../src/telemetry/redaction.ts';
import { inTurn } from './support.ts';

const redactor = createRedactor();
const longText = 'Position closed after the trailing stop moved up again. '.repeat(40);
const metadata = {
  order_id: '4111111111111111',
  venue: 'XNAS',
  note: 'opened by hand',
  nested: { a: 1, b: [1, 2, 3] },
};

const telemetry = await startTelemetry({
  serviceName: 'bench',
  attach: false,
  logProcessors: [{ onEmit: () => {}, forceFlush: async () => {}, shutdown: async () => {} }],
  env: {},
  report: () => {},
});

let kept: unknown;
const keep = (value: unknown) => {
  kept = value;
};
const result = await inTurn(
  {
    'attribute: id of the catalogue': () =>
      keep(redactor.attribute('trading.order.id', '4111111111111111', ATTRIBUTES['trading.order.id'])),
    'attribute: enumeration': () => keep(redactor.attribute('trading.side', 'buy', ATTRIBUTES['trading.side'])),
    'attribute: number': () => keep(redactor.attribute('trading.price', 150.25, ATTRIBUTES['trading.price'])),
    'attribute: free text, 60 characters': () =>
      keep(
        redactor.attribute(
          'risk.reason',
          'Position opened for AAPL by momentum strategy in the morning',
          ATTRIBUTES['risk.reason'],
        ),
      ),
    'text: with a colon': () => keep(redactor.text('Slow: fetch_positions took 152.3 ms, threshold 100 ms')),
    'text: 2,240 characters': () => keep(redactor.text(longText)),
    'text: with a key and an e-mail': () => keep(redactor.text('login api_key=abc123 for bob@example.com')),
    'text: with a card': () => keep(redactor.text('paid by 4111 1111 1111 1111')),
    'url: signed': () =>
      keep(
        redactor.url('https://api.binance.com/api/v3/order?symbol=BTCUSDT&signature=abcdef&timestamp=1732176000000'),
      ),
    'deep: metadata of 7 values': () => keep(redactor.deep(metadata, 'metadata')),
    'runWithContext (with its span)': () =>
      runWithContext(telemetry.tracer, { accountId: 'A', strategyId: 'S', correlationId: 'c-1' }, () => keep(1)),
    activeContextAttributes: () => keep(activeContextAttributes()),
  },
  { rounds: 7, calls: 100_000 },
);
await telemetry.shutdown();

for (const [name, micros] of Object.entries(result)) {
  console.log(
    `${name.padEnd(40)} ${Math.round(micros * 1000)
      .toString()
      .padStart(7)} ns`,
  );
}
if (kept === undefined) throw new Error('nothing was measured');
