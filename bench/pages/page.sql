-- a page of a list: mostly somewhere deep, sometimes the first, of a customer, or of a type
\set kind random(1, 10)
\set n random(0, 19)
\set customer random(1, 1000)
\if :kind <= 5
SELECT list_usage_events(after => (SELECT cursor FROM bench_cursor WHERE n = :n));
\elif :kind <= 7
SELECT list_usage_events();
\elif :kind <= 9
SELECT list_usage_events(customer_aliases => ARRAY['customer-' || :customer]);
\else
SELECT list_usage_events(event_type => 'type-' || :n % 10);
\endif
