-- limit_lock.sql: who stores events under a usage limit waits for who does so already

-- Half of a page is left free: each event under a limit updates its row, and the index need not know.
CREATE TABLE usage_events.usage_limit_lock (
    account_id uuid NOT NULL,
    metric_id uuid NOT NULL,
    customer_hash integer NOT NULL,
    turn bigint NOT NULL,
    CONSTRAINT usage_limit_lock_pkey PRIMARY KEY (account_id, metric_id, customer_hash)
) WITH (fillfactor = 50);

COMMENT ON TABLE usage_events.usage_limit_lock IS 'Whoever stores events under a BLOCK limit updates the row of metric and customer, and so waits for others until they commit. A row that is not there is made; none says what was used';
COMMENT ON COLUMN usage_events.usage_limit_lock.account_id IS 'The account whose limit it is';
COMMENT ON COLUMN usage_events.usage_limit_lock.metric_id IS 'The metric whose value is limited';
COMMENT ON COLUMN usage_events.usage_limit_lock.customer_hash IS 'A number that is made of the customer''s id, or of the alias of nobody known: customers with the same wait for each other';
COMMENT ON COLUMN usage_events.usage_limit_lock.turn IS 'How often it was taken: another with each, so that a transaction of one snapshot fails rather than overlook the events of who came before';
