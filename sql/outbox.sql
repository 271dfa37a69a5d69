-- outbox.sql: events that come from databases without the extension, by logical replication of their outbox

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.outbox (
    account_id uuid NOT NULL,
    subscription text COLLATE pg_catalog."C" NOT NULL,
    attached_at timestamptz NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (subscription)
);

COMMENT ON TABLE usage_events.outbox IS 'Which account the events of a subscription are for';
COMMENT ON COLUMN usage_events.outbox.account_id IS 'The account';
COMMENT ON COLUMN usage_events.outbox.subscription IS 'The subscription, by its name';
COMMENT ON COLUMN usage_events.outbox.attached_at IS 'Since when';

SELECT pg_catalog.pg_extension_config_dump('usage_events.outbox', '');

-- What is subscribed to has the columns id and event alone: examples/outbox/outbox.sql.  The key is that of the other database.
CREATE TABLE usage_events.outbox_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event jsonb,
    outcome text COLLATE pg_catalog."C" NOT NULL,
    event_id uuid,
    CONSTRAINT outbox_event_pkey PRIMARY KEY (id)
);

CREATE INDEX outbox_event_version_idx ON usage_events.outbox_event (account_id, event_id);

COMMENT ON TABLE usage_events.outbox_event IS 'Which rows of an outbox have come, so that none is taken twice; a row goes when it is deleted from the outbox';
COMMENT ON COLUMN usage_events.outbox_event.account_id IS 'The account that its event was for';
COMMENT ON COLUMN usage_events.outbox_event.id IS 'Id of the row in the outbox, a UUID of version 7; the time inside it is when the event was stored there';
COMMENT ON COLUMN usage_events.outbox_event.event IS 'NULL: the event is where events are';
COMMENT ON COLUMN usage_events.outbox_event.outcome IS 'created, superseded, unchanged or refused, as by ingest_usage_events(); older: a later version of the event had come before';
COMMENT ON COLUMN usage_events.outbox_event.event_id IS 'Id of the version of the event that it is; NULL where it is none';

SELECT pg_catalog.pg_extension_config_dump('usage_events.outbox_event', '');

-- What comes ----------------------------------------------------------------

CREATE FUNCTION usage_events.subscription_account() RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subscription_name text;
    account uuid;
BEGIN
    SELECT subname INTO subscription_name
    FROM pg_subscription JOIN pg_stat_get_subscription(NULL) AS worker ON subid = oid
    WHERE worker.pid = pg_backend_pid();
    SELECT outbox.account_id INTO account FROM usage_events.outbox WHERE outbox.subscription = subscription_name;
    IF account IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'events of an outbox come without an account that they are for',
            DETAIL = CASE WHEN subscription_name IS NULL THEN 'They come by no subscription.'
                ELSE format('No account has the subscription "%s".', subscription_name) END,
            HINT = 'Call usage_events.attach_outbox() with the subscription and an account: what came is tried again.';
    END IF;
    RETURN account;
END
$$;

COMMENT ON FUNCTION usage_events.subscription_account() IS
'The account that has the subscription whose changes this process applies. Error: 55000 where there is none';

-- Rows are copied in no order when a subscription begins, and replicated in that of their commits.  An event of an earlier call
-- never takes the place of one of a later call: their ids tell.
CREATE FUNCTION usage_events.outbox_has_newer(account_id uuid, row_id uuid, customer_event_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    version uuid;
BEGIN
    SELECT stored.id INTO version FROM usage_events.event AS stored
    WHERE stored.account_id = outbox_has_newer.account_id AND stored.customer_event_id = outbox_has_newer.customer_event_id;
    RETURN FOUND AND EXISTS (
        SELECT FROM usage_events.outbox_event AS came
        WHERE came.account_id = outbox_has_newer.account_id AND came.event_id = version AND came.id > outbox_has_newer.row_id);
END
$$;

COMMENT ON FUNCTION usage_events.outbox_has_newer(uuid, uuid, text) IS
'Whether the current version of an event came from a later row of an outbox than the one of this id';

CREATE FUNCTION usage_events.receive_outbox_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    outcome jsonb = '{"outcome": "older"}';
BEGIN
    IF EXISTS (SELECT FROM usage_events.outbox_event WHERE id = NEW.id) THEN
        RETURN NULL;
    END IF;
    NEW.account_id = usage_events.subscription_account();
    IF NOT usage_events.outbox_has_newer(NEW.account_id, NEW.id, NEW.event ->> 'customerEventId') THEN
        outcome = usage_events.ingest_events(NEW.account_id, jsonb_build_array(NEW.event)) -> 'outcomes' -> 0;
    END IF;
    NEW.outcome = outcome ->> 'outcome';
    NEW.event_id = outcome ->> 'id';
    NEW.event = NULL;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION usage_events.receive_outbox_event() IS
'Trigger of usage_events.outbox_event: stores the event of a row that comes, or keeps it as refused, and passes by a row that has come before. Error: 55000 where the row comes by no subscription that an account has';

CREATE TRIGGER usage_events_receive BEFORE INSERT ON usage_events.outbox_event
    FOR EACH ROW EXECUTE FUNCTION usage_events.receive_outbox_event();

-- As a replica's.  A restore brings rows that have come already, in the ordinary mode.
ALTER TABLE usage_events.outbox_event ENABLE REPLICA TRIGGER usage_events_receive;

COMMENT ON TRIGGER usage_events_receive ON usage_events.outbox_event IS 'Stores the event of a row that comes by logical replication';

-- Attaching -----------------------------------------------------------------

CREATE FUNCTION usage_events.check_outbox_can_be() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF usage_events.is_distributed() THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'where the tables are distributed no outbox can be attached',
            HINT = 'Attach it in a database whose tables are not.';
    END IF;
END
$$;

COMMENT ON FUNCTION usage_events.check_outbox_can_be() IS
'Whether outboxes may be attached and detached here. Error: 0A000 where the tables are distributed';

CREATE FUNCTION usage_events.attach_outbox(subscription text, account_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other uuid;
BEGIN
    PERFORM usage_events.check_outbox_can_be();
    IF attach_outbox.subscription IS NULL OR attach_outbox.account_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'a subscription and an account are needed';
    END IF;
    IF NOT EXISTS (SELECT FROM usage_events.account WHERE account.account_id = attach_outbox.account_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('account %s does not exist', attach_outbox.account_id);
    END IF;
    INSERT INTO usage_events.outbox VALUES (attach_outbox.account_id, attach_outbox.subscription, statement_timestamp())
    ON CONFLICT DO NOTHING;
    SELECT outbox.account_id INTO other FROM usage_events.outbox WHERE outbox.subscription = attach_outbox.subscription;
    IF other <> attach_outbox.account_id THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the subscription "%s" is attached to another account', attach_outbox.subscription),
            DETAIL = format('Its events are for the account %s.', other),
            HINT = 'Call usage_events.detach_outbox() first.';
    END IF;
END
$$;

COMMENT ON FUNCTION usage_events.attach_outbox(text, uuid) IS
'Has the events of an outbox, which come by the subscription of that name, stored for the account: each once, and those that are refused kept in rejected_usage_events. The subscription may be made before or after. For superusers, as subscriptions are. Errors: 22004, 22023 for an account that does not exist, 55000 where it is attached to another, 0A000 where the tables are distributed';

CREATE FUNCTION usage_events.detach_outbox(subscription text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM usage_events.check_outbox_can_be();
    IF EXISTS (SELECT FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
               WHERE datname = current_database() AND subname = detach_outbox.subscription AND subenabled) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the subscription "%s" is still there', detach_outbox.subscription),
            HINT = 'Drop the subscription first, or disable it: its events would find no account.';
    END IF;
    DELETE FROM usage_events.outbox WHERE outbox.subscription = detach_outbox.subscription;
    RETURN FOUND;
END
$$;

COMMENT ON FUNCTION usage_events.detach_outbox(text) IS
'Takes an outbox away from its account; whether it had one. Events stay, and so does what has come: attached once more, to a new subscription with a copy of all rows, none counts twice. For superusers. Errors: 55000 while the subscription is enabled, 0A000 where the tables are distributed';

-- Status --------------------------------------------------------------------

CREATE VIEW usage_events.outbox_status WITH (security_invoker = true) AS
SELECT outbox.account_id,
       outbox.subscription,
       outbox.attached_at,
       worker.count OPERATOR(pg_catalog.>) 0 AS is_running,
       EXTRACT(epoch FROM pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) worker.heard_at)::double precision AS lag_seconds
FROM usage_events.outbox AS outbox
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(process.pid), pg_catalog.max(GREATEST(process.last_msg_send_time, process.latest_end_time)) AS heard_at
    FROM pg_catalog.pg_subscription AS subscription
    JOIN pg_catalog.pg_database AS database ON database.oid OPERATOR(pg_catalog.=) subscription.subdbid
    JOIN pg_catalog.pg_stat_subscription AS process ON process.subid OPERATOR(pg_catalog.=) subscription.oid AND process.relid IS NULL
    WHERE database.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
      AND subscription.subname::text OPERATOR(pg_catalog.=) outbox.subscription
) AS worker;

COMMENT ON VIEW usage_events.outbox_status IS 'The outboxes that accounts have, and how far behind they are';
COMMENT ON COLUMN usage_events.outbox_status.account_id IS 'The account that its events are for';
COMMENT ON COLUMN usage_events.outbox_status.subscription IS 'The subscription, by its name';
COMMENT ON COLUMN usage_events.outbox_status.attached_at IS 'Since when its events are for the account';
COMMENT ON COLUMN usage_events.outbox_status.is_running IS 'Whether a process applies what it brings';
COMMENT ON COLUMN usage_events.outbox_status.lag_seconds IS 'How long ago the other server sent what came last, in seconds; a server that has nothing to send says so from time to time. NULL where nothing runs';

-- A function, so that the view account_status is of tables of accounts alone: Citus joins those with no other.
CREATE FUNCTION usage_events.outbox_lag_seconds(account_id uuid) RETURNS double precision
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT max(CASE WHEN status.is_running THEN status.lag_seconds ELSE 'Infinity' END)
            FROM usage_events.outbox_status AS status WHERE status.account_id = outbox_lag_seconds.account_id);
END
$$;

COMMENT ON FUNCTION usage_events.outbox_lag_seconds(uuid) IS
'How far behind the outboxes of an account are that the caller may see: the most, in seconds; Infinity where nothing applies one, NULL where there is none';
