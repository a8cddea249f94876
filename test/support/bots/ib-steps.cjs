/** Orders by the socket of TWS, one of which is changed and one cancelled. Nothing in here knows of risktrail. */
exports.trade = function trade({ EventName, IBApi, OrderAction, OrderType, SecType }, port, count) {
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
  let changed = false;

  ib.on(EventName.error, (_error, code, id) => process.stdout.write(`error ${id} ${code}\n`));
  ib.on(EventName.nextValidId, (first) => {
    for (let i = 0; i < count; i++) ib.placeOrder(first + i, contract, { ...order, orderRef: `bot-${i}` });
  });
  ib.on(EventName.orderStatus, (id, status) => {
    process.stdout.write(`${id}${changed && id === 6 ? ' changed' : ''} ${status}\n`);
    if (id === 1 && status === 'Submitted') ib.cancelOrder(1);
    if (id === 6 && !changed) {
      changed = true;
      ib.placeOrder(6, contract, { ...order, lmtPrice: 191, orderRef: 'bot-5' });
    }
  });
  ib.on(EventName.disconnected, () => process.exit(0));
  ib.connect();
};
