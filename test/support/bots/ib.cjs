// Arguments: port of the socket, how many orders. Nothing in here knows of risktrail.
const { EventName, IBApi, OrderAction, OrderType, SecType } = require('@stoqey/ib');

const [port, count] = process.argv.slice(2).map(Number);
const ib = new IBApi({ port, clientId: 7 });
const contract = { symbol: 'AAPL', secType: SecType.STK, exchange: 'SMART', currency: 'USD' };
const order = {
  action: OrderAction.BUY,
  orderType: OrderType.LMT,
  lmtPrice: 190,
  totalQuantity: 5,
  tif: 'DAY',
  transmit: true,
};

ib.on(EventName.error, (_error, code, id) => process.stdout.write(`error ${id} ${code}\n`));
ib.on(EventName.nextValidId, (first) => {
  for (let i = 0; i < count; i++) ib.placeOrder(first + i, contract, { ...order, orderRef: `bot-${i}` });
});
ib.on(EventName.orderStatus, (id, status) => {
  process.stdout.write(`${id} ${status}\n`);
  if (id === 1 && status === 'Submitted') ib.cancelOrder(1);
});
ib.on(EventName.disconnected, () => process.exit(0));
ib.connect();
