/** What a price is. */

/** Above this a price is a mistake, and arithmetic on it could leave the range of doubles. */
export const MAX_PRICE = 1e18;

/** Whether `value` can be a price: a finite number above 0 and at most 10^18. */
export const isPrice = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && value <= MAX_PRICE;
