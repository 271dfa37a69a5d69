# sqlalchemy_core.py: with SQLAlchemy; see README.md
# Run with Python 3.11, SQLAlchemy 1.4.46 and psycopg2 2.9.5.
import json
import random
import time

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

engine = create_engine("postgresql+psycopg2://")  # PGHOST, PGDATABASE, ... say where


def is_temporary(error):
    """A lost connection is invalidated; 40001 and 40P01 are a transaction that lost to another."""
    return error.connection_invalidated or (getattr(error.orig, "pgcode", None) or "08").startswith(("08", "40", "57P"))


def store_batch(events, attempts=5):
    """Each event has a customerEventId: what was stored before the answer got lost is not stored again."""
    for attempt in range(1, attempts + 1):
        try:
            with engine.begin() as connection:
                return connection.execute(text("SELECT create_usage_events(CAST(:events AS jsonb))"), {"events": json.dumps(events)}).scalar()
        except DBAPIError as error:
            if attempt == attempts or not is_temporary(error):
                raise
            time.sleep(0.1 * 2**attempt * random.random())


def message(id, length):
    return {"customerEventId": id, "customerAlias": "acme", "eventType": "message-sent",
            "eventTimestamp": "2026-10-05T10:00:00Z", "eventProperties": {"length": length}}


with engine.begin() as connection:
    connection.execute(text("SELECT create_usage_event(CAST(:event AS jsonb))"), {"event": json.dumps(message("message-1", 500))})
store_batch([message("message-2", 30), message("message-3", 7)])
with engine.connect() as connection:
    print(connection.execute(text("SELECT (calculate_usage_metric(id, :aliases, CAST(:period AS tstzrange)) ->> 'value')::numeric FROM usage_metrics"
                                  " WHERE name = 'Characters'"),
                             {"aliases": ["acme"], "period": "[2026-10-01 00:00Z, 2026-11-01 00:00Z)"}).scalar())
