-- account.sql: accounts, their keys for the HTTP API, up to when they were purged, and the guard on dropping all of it

-- Accounts ------------------------------------------------------------------

CREATE FUNCTION usage_events.current_account_id() RETURNS uuid
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'current_account_id';

COMMENT ON FUNCTION usage_events.current_account_id() IS
'The account whose events are written and read: the setting usage_events.account_id, or else the default account. Errors: PT401 in a request over HTTP for which no account was chosen, by an API key or by whoever set it; 28000 where the setting is the nil UUID, which means none';

CREATE TABLE usage_events.account (
    account_id uuid NOT NULL,
    name text NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.account IS 'Who meters its customers here; sees its own events alone';
COMMENT ON COLUMN usage_events.account.account_id IS 'Unique id; the time inside it is when the account was made';
COMMENT ON COLUMN usage_events.account.name IS 'Name for people to read; need not be unique';

SELECT pg_catalog.pg_extension_config_dump('usage_events.account',
    'WHERE account_id <> ''00000000-0000-8000-8000-000000000001''');

-- The default account is a constant of the library: restoring a dump finds it made.
INSERT INTO usage_events.account (account_id, name)
VALUES (usage_events.current_account_id(), 'default');

CREATE FUNCTION usage_events.create_account(name text) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_account';

COMMENT ON FUNCTION usage_events.create_account(text) IS
'Makes an account of that name (not blank, at most 255 characters) and returns its id. Errors: 22004 for NULL, 22023 for a name that is none';

-- Replication ---------------------------------------------------------------

-- Each database has the default account from its beginning.  A subscriber of all tables is sent it once more, and would
-- never get past its key.  The trigger fires in what applies changes, and not where an account is made.
CREATE FUNCTION usage_events.keep_default_account() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM usage_events.account WHERE account_id = NEW.account_id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION usage_events.keep_default_account() IS
'Trigger of usage_events.account for what comes by logical replication: the default account is there already';

CREATE TRIGGER usage_events_default_account BEFORE INSERT ON usage_events.account
    FOR EACH ROW WHEN (NEW.account_id OPERATOR(pg_catalog.=) '00000000-0000-8000-8000-000000000001'::pg_catalog.uuid)
    EXECUTE FUNCTION usage_events.keep_default_account();

ALTER TABLE usage_events.account ENABLE REPLICA TRIGGER usage_events_default_account;

COMMENT ON TRIGGER usage_events_default_account ON usage_events.account IS
'Passes by the default account of a publisher, where there is one already';

-- API keys ------------------------------------------------------------------

CREATE TABLE usage_events.api_key (
    account_id uuid NOT NULL,
    client_id text COLLATE pg_catalog."C" NOT NULL,
    secret_hash bytea NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    access text NOT NULL DEFAULT 'full',
    customer text COLLATE pg_catalog."C",
    metric_ids uuid[],
    CONSTRAINT api_key_pkey PRIMARY KEY (account_id, client_id)
);

COMMENT ON TABLE usage_events.api_key IS 'Keys by which clients of the HTTP API show whose account they act for';
COMMENT ON COLUMN usage_events.api_key.account_id IS 'The account that the key acts for';
COMMENT ON COLUMN usage_events.api_key.client_id IS 'The public half: the account''s id, a point, and 16 hexadecimal digits';
COMMENT ON COLUMN usage_events.api_key.secret_hash IS 'SHA-256 of the client secret, which has 256 random bits and is stored nowhere';
COMMENT ON COLUMN usage_events.api_key.label IS 'What the key is for';
COMMENT ON COLUMN usage_events.api_key.created_at IS 'When the key was made';
COMMENT ON COLUMN usage_events.api_key.expires_at IS 'From when on the key is refused; NULL: never';
COMMENT ON COLUMN usage_events.api_key.access IS 'full; ingest: may send events, and nothing else; read: may ask, and change nothing';
COMMENT ON COLUMN usage_events.api_key.customer IS 'The id of the one customer that the key sees; NULL: all';
COMMENT ON COLUMN usage_events.api_key.metric_ids IS 'The usage metrics that the key sees; NULL: all';

SELECT pg_catalog.pg_extension_config_dump('usage_events.api_key', '');

CREATE FUNCTION usage_events.create_api_key(
    account_id uuid,
    label text,
    access text DEFAULT 'full',
    customer text DEFAULT NULL,
    metric_ids uuid[] DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL
) RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'create_api_key';

COMMENT ON FUNCTION usage_events.create_api_key(uuid, text, text, text, uuid[], timestamptz) IS
'Makes an API key of the account, with a label of at most 255 characters, and shows its secret: once, only a hash of it is stored. access: full; ingest: the key may send events, and nothing else; read: it may ask, and change nothing. A read key may be one of a customer, by the customer''s id: it sees nothing of others; and of 1 to 100 usage metrics. It is refused from expires_at on. Errors: 22004 for NULL as one of the first three, 22023 for an account that does not exist, a label that is none, or naming every other fault';

CREATE FUNCTION usage_events.rotate_api_key(client_id text, grace interval DEFAULT '0')
RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'rotate_api_key';

COMMENT ON FUNCTION usage_events.rotate_api_key(text, interval) IS
'Makes another API key of the same account, label and scope, which does not expire by itself, and lets the old one expire after the grace. Errors: 22004 for NULL, 22023 for a key that does not exist or has expired, or a negative grace';

CREATE FUNCTION usage_events.expire_api_key(client_id text, expires_at timestamptz) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'expire_api_key';

COMMENT ON FUNCTION usage_events.expire_api_key(text, timestamptz) IS
'Lets an API key expire at that moment, or never for NULL: one that has expired is good again then. Errors: 22004 for NULL as the key, 22023 for one that does not exist';

CREATE FUNCTION usage_events.revoke_api_key(client_id text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revoke_api_key';

COMMENT ON FUNCTION usage_events.revoke_api_key(text) IS
'Lets an API key expire now. Errors as expire_api_key()';

CREATE FUNCTION usage_events.list_api_keys(account_id uuid)
RETURNS TABLE (client_id text, label text, created_at timestamptz, expires_at timestamptz, access text, customer text, metric_ids uuid[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'list_api_keys';

COMMENT ON FUNCTION usage_events.list_api_keys(uuid) IS
'The API keys of the account, without their secrets, which nobody has. Error: 22004 for NULL';

-- Portal tokens -------------------------------------------------------------

-- They are not dumped: each ends within a day.

CREATE TABLE usage_events.portal_token (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    customer text COLLATE pg_catalog."C" NOT NULL,
    metric_ids uuid[],
    CONSTRAINT portal_token_pkey PRIMARY KEY (account_id, id)
);

CREATE INDEX portal_token_end_idx ON usage_events.portal_token (account_id, expires_at);

COMMENT ON TABLE usage_events.portal_token IS 'Tokens by which a page shows a customer its own usage, for a while; a new one takes the row of one that has ended';
COMMENT ON COLUMN usage_events.portal_token.account_id IS 'The account that made the token';
COMMENT ON COLUMN usage_events.portal_token.id IS 'Unique id; its client id is the account''s id, a point, and this one';
COMMENT ON COLUMN usage_events.portal_token.secret_hash IS 'SHA-256 of the client secret, which has 256 random bits and is stored nowhere';
COMMENT ON COLUMN usage_events.portal_token.created_at IS 'When the token was made';
COMMENT ON COLUMN usage_events.portal_token.expires_at IS 'From when on the token is refused';
COMMENT ON COLUMN usage_events.portal_token.customer IS 'The id of the one customer that the token sees';
COMMENT ON COLUMN usage_events.portal_token.metric_ids IS 'The usage metrics that the token sees; NULL: all';

-- Horizon -------------------------------------------------------------------

CREATE TABLE usage_events.purge_horizon (
    account_id uuid NOT NULL,
    purged_before timestamptz NOT NULL,
    CONSTRAINT purge_horizon_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.purge_horizon IS 'Accounts of which old events were purged';
COMMENT ON COLUMN usage_events.purge_horizon.account_id IS 'The account whose events they were';
COMMENT ON COLUMN usage_events.purge_horizon.purged_before IS 'Events that happened before this moment were purged, and are refused; no metric is calculated of a time before it';

SELECT pg_catalog.pg_extension_config_dump('usage_events.purge_horizon', '');

-- Guard ---------------------------------------------------------------------

CREATE FUNCTION usage_events.guard_drop() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'guard_drop';

COMMENT ON FUNCTION usage_events.guard_drop() IS
'Refuses to drop the extension while it holds events, unless usage_events.allow_drop is on. Error: 2BP01';

CREATE EVENT TRIGGER usage_events_guard_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE', 'DROP TABLE', 'DROP VIEW',
                 'DROP MATERIALIZED VIEW', 'DROP FOREIGN TABLE', 'DROP SEQUENCE', 'DROP TYPE', 'DROP DOMAIN',
                 'DROP FUNCTION', 'DROP PROCEDURE', 'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR',
                 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP COLLATION', 'DROP ACCESS METHOD')
    EXECUTE FUNCTION usage_events.guard_drop();

-- Also for who has turned triggers off by session_replication_role.
ALTER EVENT TRIGGER usage_events_guard_drop ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_guard_drop IS 'Keeps DROP EXTENSION usage_events from taking usage events along';
