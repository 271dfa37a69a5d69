-- OpenMeter's table of events, by its shape.
CREATE TABLE event (
    namespace String, id String, type LowCardinality(String), subject String, source String, time DateTime, data String,
    ingested_at DateTime, stored_at DateTime, store_row_id String
) ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (namespace, type, subject, toStartOfHour(time))
