/** The functions of our own that the views call. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { plainValue } from '../../audit/record/otlp.ts';
import type { DuckDbModule } from './duckdb.ts';

/** Adds the functions to a connection's database. */
export function addFunctions(duckdb: DuckDbModule, connection: DuckDBConnection): void {
  connection.registerScalarFunction(
    duckdb.DuckDBScalarFunction.create({
      name: 'plain_json',
      parameterTypes: [duckdb.VARCHAR],
      returnType: duckdb.VARCHAR,
      mainFunction(_info, input, output) {
        const texts = input.getColumnVector(0);
        for (let row = 0; row < input.rowCount; row++) output.setItem(row, plainJson(texts.getItem(row)));
        output.flush();
      },
    }),
  );
}

/** Text of an OTLP value (or of what is in its `kvlistValue`) as text of plain JSON. */
function plainJson(text: unknown): string | null {
  if (typeof text !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const isList = typeof value === 'object' && value !== null && 'values' in value;
  const plain = plainValue(isList ? { kvlistValue: value } : value);
  return plain === null ? null : JSON.stringify(plain);
}
