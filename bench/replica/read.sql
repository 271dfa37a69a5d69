-- a page of a customer's events, and his month before
\set customer random(0, 199)
SELECT list_usage_events(50, customer_aliases => ARRAY['customer-' || :customer]);
SELECT calculate_usage_metric((SELECT id FROM usage_metrics), ARRAY['customer-' || :customer], '[2026-01-01Z, 2026-02-01Z)');
