"""Runs SQL on Apache Spark over lakes: JSON on standard input and output, see spark.test.ts."""
import datetime
import decimal
import json
import sys

from pyspark.sql import SparkSession


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.strftime('%Y-%m-%dT%H:%M:%S.%fZ')
    if isinstance(value, (datetime.date, decimal.Decimal)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


asked = json.load(sys.stdin)
spark = (
    SparkSession.builder.master('local[2]')
    .config('spark.ui.enabled', 'false')
    .config('spark.driver.bindAddress', '127.0.0.1')
    .config('spark.driver.host', '127.0.0.1')
    .config('spark.driver.memory', '1g')
    .config('spark.sql.session.timeZone', 'UTC')
    .config('spark.sql.shuffle.partitions', '2')
    # A share of nothing is nothing, as in DuckDB, not an error.
    .config('spark.sql.ansi.enabled', 'false')
    .config('spark.sql.warehouse.dir', asked['warehouse'])
    .getOrCreate()
)
spark.sparkContext.setLogLevel('ERROR')
answers = []
for lake in asked['lakes']:
    spark.read.parquet(lake['path']).cache().createOrReplaceTempView('lake')
    for view in asked['views']:
        spark.sql(view)
    rows = {}
    for name, sql in lake['queries'].items():
        try:
            rows[name] = [plain(tuple(row)) for row in spark.sql(sql).collect()]
        except Exception as error:  # told to the test, which fails with it
            rows[name] = str(error).split('\n', 1)[0]
    answers.append(rows)
    spark.catalog.uncacheTable('lake')
json.dump({'version': spark.version, 'answers': answers}, sys.stdout)
spark.stop()
