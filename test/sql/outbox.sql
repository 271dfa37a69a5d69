-- Outboxes of databases without the extension: what can be attached, and what comes by no subscription.
-- test/t/047_outbox.pl has two servers.
\i test/helpers/empty.sql
SELECT usage_events.create_account('outbox') AS account, usage_events.create_account('other outbox') AS other \gset

-- attached to an account that exists, once
SELECT usage_events.attach_outbox(NULL, :'account');
SELECT usage_events.attach_outbox('app', NULL);
SELECT usage_events.attach_outbox('app', '00000000-0000-0000-0000-000000000007');
SELECT usage_events.attach_outbox('app', :'account');
SELECT usage_events.attach_outbox('app', :'account');
\set VERBOSITY terse
SELECT usage_events.attach_outbox('app', :'other');
\set VERBOSITY default
-- an account may have several
SELECT usage_events.attach_outbox('second', :'account');
SELECT subscription, is_running, lag_seconds FROM usage_events.outbox_status ORDER BY 1;
SELECT name, outbox_lag_seconds FROM usage_events.account_status WHERE name LIKE '%outbox' ORDER BY 1;

-- no access has rights to it; whoever reads sees those of its account
CREATE ROLE regress_outbox;
SELECT usage_events.grant_access('regress_outbox', 'admin');
SET ROLE regress_outbox;
SELECT usage_events.attach_outbox('third', :'account');
SELECT usage_events.detach_outbox('app');
INSERT INTO usage_events.outbox VALUES (usage_events.current_account_id(), 'third', now());
INSERT INTO usage_events.outbox_event (account_id, id, outcome) VALUES (usage_events.current_account_id(), uuid_v7(), 'created');
SELECT count(*) FROM usage_events.outbox_status;
RESET ROLE;
SET usage_events.account_id = :'account';
SET ROLE regress_outbox;
SELECT count(*) FROM usage_events.outbox_status;
SELECT outbox_lag_seconds FROM usage_events.account_status;
RESET ROLE;
RESET usage_events.account_id;

-- what is applied, and comes by no subscription
SET session_replication_role = replica;
INSERT INTO usage_events.outbox_event (id, event) VALUES (uuid_v7(), '{"customerAlias": "acme", "eventType": "call"}');
RESET session_replication_role;
-- what a restore brings has come already, and is stored as it is
INSERT INTO usage_events.outbox_event (account_id, id, outcome) VALUES (:'account', '01a207ec-ed42-7599-b554-5d1b40ef75a0', 'created');
SELECT count(*) FROM usage_events.event;
-- and passed by when it comes again
SET session_replication_role = replica;
INSERT INTO usage_events.outbox_event (id, event) VALUES ('01a207ec-ed42-7599-b554-5d1b40ef75a0', '{"customerAlias": "acme", "eventType": "call"}');
RESET session_replication_role;
SELECT count(*) FROM usage_events.event;

-- detached
SELECT usage_events.detach_outbox('app'), usage_events.detach_outbox('app'), usage_events.detach_outbox('second');
SELECT name, outbox_lag_seconds FROM usage_events.account_status WHERE name LIKE '%outbox' ORDER BY 1;
TRUNCATE usage_events.outbox_event;
SELECT usage_events.revoke_access('regress_outbox');
DROP ROLE regress_outbox;
DELETE FROM usage_events.account WHERE account_id IN (:'account', :'other');
