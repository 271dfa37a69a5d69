\set ECHO none
-- outcome.sql: pg_temp.outcome() executes a statement, and says what it answers, or how it is refused
--
-- Of an answer the first column of the first row; of a refusal all that a client is told.  Each test writes it as it
-- reads best there.
CREATE FUNCTION pg_temp.outcome(statement text, OUT answer text, OUT state text, OUT message text, OUT detail text, OUT hint text, OUT context text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement INTO answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
END $$;
\set ECHO all
