-- A month of events, :events of the largest customer: in the account 'few' of three
-- customers, that one, one with a 50th and one with a 5000th of them; in the account
-- 'many' as many of 2,000 customers.  They come in the order of time, the accounts'
-- side by side, and have the ids that they would have had if sent at that time.
INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
SELECT account.account_id, bench_id(moment.at, 4 * n + customer.number), moment.at, customer.number || '-' || n, customer.alias, 'message-sent', bench_properties()
FROM generate_series(1, :events) AS n
CROSS JOIN bench_month
CROSS JOIN LATERAL (SELECT begin + ("end" - begin) * ((n - 0.5) / :events) AS at) AS moment
CROSS JOIN LATERAL (VALUES
    (0, 'few', 'large', true),
    (1, 'few', 'medium', n % 50 = 25),
    (2, 'few', 'small', n % 5000 = 2500),
    (3, 'many', 'customer-' || n::bigint * 7919 % 2000, true)) AS customer (number, account, alias, sends)
JOIN bench_account AS account ON account.name = customer.account
WHERE customer.sends;

-- a fifth as many logins of 10,000 users, by one customer
INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
SELECT account.account_id, bench_id(moment.at, n), moment.at, 'login-' || n, 'large', 'login',
       jsonb_build_object('user', 'user-' || (random() * 9999)::int, 'region', 'eu-west-1')
FROM generate_series(1, :events / 5) AS n
CROSS JOIN bench_month
CROSS JOIN LATERAL (SELECT begin + ("end" - begin) * ((n - 0.5) / (:events / 5)) AS at) AS moment
JOIN bench_account AS account ON account.name = 'few';

VACUUM ANALYZE usage_events.event;

-- What somebody would make who had no more to do than read sums: one index, which holds all that they ask for.
CREATE TABLE bench_covering (LIKE usage_events.event, PRIMARY KEY (account_id, customer_event_id));
INSERT INTO bench_covering SELECT * FROM usage_events.event;
CREATE INDEX bench_covering_idx ON bench_covering (account_id, event_type, customer_alias, event_timestamp) INCLUDE (event_properties);
VACUUM ANALYZE bench_covering;
