\set ECHO none
-- empty.sql: throws away all events, aliases, metrics and limits, and what was made of them, of all accounts
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.rejected_overflow,
    usage_events.outbox, usage_events.outbox_event,
    usage_events.customer_alias, usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress,
    usage_events.metric_rollup, usage_events.dirty_bucket, usage_events.erasure, usage_events.purge_horizon, usage_events.portal_token,
    usage_events.usage_limit, usage_events.superseded_usage_limit, usage_events.usage_limit_lock,
    usage_events.usage_alert, usage_events.superseded_usage_alert, usage_events.usage_alert_progress, usage_events.usage_alert_due,
    usage_events.usage_alert_state, usage_events.usage_alert_event, usage_events.usage_alert_consumer, usage_events.usage_alert_delivery;
\set ECHO all
