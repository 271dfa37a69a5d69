# psycopg3.py: with psycopg 3; see README.md
# Run with Python 3.11 and psycopg 3.1.7.
import random
import time

import psycopg
from psycopg.types.json import Jsonb


def is_temporary(error):
    """Lost connections have no SQLSTATE, or one of 08 and 57P; 40001 and 40P01 are a transaction that lost to another."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "40", "57P"))


def store_batch(events, attempts=5):
    """Each event has a customerEventId: what was stored before the answer got lost is not stored again."""
    for attempt in range(1, attempts + 1):
        try:
            with psycopg.connect() as connection:  # PGHOST, PGDATABASE, ... say where
                return connection.execute("SELECT create_usage_events(%s)", [Jsonb(events)]).fetchone()[0]
        except psycopg.OperationalError as error:
            if attempt == attempts or not is_temporary(error):
                raise
            time.sleep(0.1 * 2**attempt * random.random())


def message(id, length):
    return {"customerEventId": id, "customerAlias": "acme", "eventType": "message-sent",
            "eventTimestamp": "2026-10-05T10:00:00Z", "eventProperties": {"length": length}}


with psycopg.connect() as connection:
    connection.execute("SELECT create_usage_event(%s)", [Jsonb(message("message-1", 500))])
store_batch([message("message-2", 30), message("message-3", 7)])
with psycopg.connect() as connection:
    print(connection.execute("SELECT (calculate_usage_metric(id, %s, %s) ->> 'value')::numeric FROM usage_metrics WHERE name = 'Characters'",
                             [["acme"], "[2026-10-01 00:00Z, 2026-11-01 00:00Z)"]).fetchone()[0])
