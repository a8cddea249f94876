/**
 * A copy of plain data without the members of maps that are null or undefined, at any depth: the audit trail has neither, and
 * whoever reads it back takes an absent member for null.
 */
export function withoutNulls(value: object): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== null && member !== undefined) copy[key] = within(member);
  }
  return copy;
}

function within(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map(within) : withoutNulls(value);
}
