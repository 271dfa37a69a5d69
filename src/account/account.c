/*
 * account/account.c
 *		Whose events these are: the setting usage_events.account_id, the default
 *		account, and the table usage_events.account.
 *
 * The account of a call is the setting's, and the default account's where it is
 * not set.  Row-level security compares every row with current_account_id(), and
 * so does every statement of event_store, which passes the account as a
 * parameter.
 *
 * A request over HTTP never falls back to the default account.  PostgREST without
 * its pre-request would serve it to everybody, so there the account has to have
 * been chosen: by an API key, or by whoever set it for the session or its role.
 */
#include "postgres.h"

#include "account/account.h"

#include "access/xact.h"
#include "account/key_scope.h"
#include "base/compat.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/request.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "sql/own_policy.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define ACCOUNT_SETTING "usage_events.account_id"

/*
 * The account that CREATE EXTENSION makes: a constant, so that events keep their
 * account when a dump is restored into a fresh installation.  Of version 8, the
 * version that RFC 9562 leaves to whoever makes the id.
 */
static const pg_uuid_t default_account_id = {{0, 0, 0, 0, 0, 0, 0x80, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};

/* The nil id: none.  Whatever needs an account is refused. */
static const pg_uuid_t no_account_id = {{0}};

/* Where the account comes from. */
typedef enum AccountOrigin
{
	ACCOUNT_NOBODY_CHOSE, /* the default account's, or what all of a database or server has */
	ACCOUNT_CHOSEN,       /* by the session, or for its role */
	ACCOUNT_NONE
} AccountOrigin;

/* What the setting says. */
typedef struct AccountSetting
{
	pg_uuid_t account_id;
	AccountOrigin origin;
} AccountSetting;

static char *account_setting = NULL;
static AccountSetting current;

/*
 * The account last seen in the table.  Forgotten when a transaction or
 * subtransaction aborts, or is prepared: it may have been the one that made the
 * account.
 */
static bool verified = false;
static pg_uuid_t verified_account_id;

static Statement read_account = {
	.sql = "SELECT FROM usage_events.account"
		   " WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement insert_account = {
	.sql = "INSERT INTO usage_events.account (account_id, name) VALUES ($1, $2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static AccountOrigin
origin_of(const pg_uuid_t *account_id, GucSource source)
{
	if (uuid_v7_equal(account_id, &no_account_id))
		return ACCOUNT_NONE;
	return source >= PGC_S_USER ? ACCOUNT_CHOSEN : ACCOUNT_NOBODY_CHOSE;
}

/* check hook: a UUID, or empty for the default account */
static bool
check_account_setting(char **value, void **extra, GucSource source)
{
	AccountSetting setting = {default_account_id, ACCOUNT_NOBODY_CHOSE};

	if (*value != NULL && **value != '\0')
	{
		if (!uuid_v7_from_text(slice_from_cstring(*value), &setting.account_id))
		{
			GUC_check_errdetail("An account is named by its UUID, such as \"0184421e-a9cc-711b-af93-bf0511d4d833\".");
			return false;
		}
		setting.origin = origin_of(&setting.account_id, source);
	}

	*extra = guc_malloc(LOG, sizeof(AccountSetting));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &setting, sizeof(AccountSetting));
	return true;
}

static void
assign_account_setting(const char *value pg_attribute_unused(), void *extra)
{
	memcpy(&current, extra, sizeof(AccountSetting));
}

static void
forget_verified(void)
{
	verified = false;
}

static void
at_transaction_end(XactEvent event, void *argument pg_attribute_unused())
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_verified();
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId child pg_attribute_unused(),
					  SubTransactionId parent pg_attribute_unused(), void *argument pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_verified();
}

/*
 * Whether the transaction serves a request over HTTP.  Row-level security asks for
 * each row: that there is none is remembered for the rest of the client's
 * statement.  PostgREST says that there is one in a statement of its own, the first
 * of the transaction.
 */
static bool
serves_request(void)
{
	static LocalTransactionId none_in = InvalidLocalTransactionId;
	static TimestampTz none_at = 0;
	LocalTransactionId transaction = current_local_transaction_id();
	TimestampTz statement = GetCurrentStatementStartTimestamp();

	if (none_in == transaction && none_at == statement)
		return false;
	if (http_request_is_there())
		return true;
	none_in = transaction;
	none_at = statement;
	return false;
}

static bool
has_account(void)
{
	if (key_scope_is_closed())
		return false;
	return current.origin == ACCOUNT_CHOSEN || (current.origin == ACCOUNT_NOBODY_CHOSE && !serves_request());
}

/* As row-level security says, which raises an error where there is none. */
static bool
is_current(const pg_uuid_t *account_id)
{
	return has_account() && uuid_v7_equal(account_id, &current.account_id);
}

void
account_init(void)
{
	DefineCustomStringVariable(
		ACCOUNT_SETTING, "The account whose usage events are written and read.",
		"Empty means the default account, and none where a request over HTTP is served.  The nil UUID means none.  "
		"Only a superuser, or a role that was granted SET on it, may change it.",
		&account_setting, "", PGC_SUSET, 0, check_account_setting, assign_account_setting, NULL);

	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	own_policy_init(is_current);
}

static void
refuse_without_account(void)
{
	if (key_scope_is_closed())
		key_scope_refuse_closed();
	if (http_request_is_there())
		http_refuse_unauthenticated();
	ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("session has no account"),
					errdetail("The setting usage_events.account_id is the nil UUID, which means none."),
					errhint("Name an account there, or show an API key to usage_events.authenticate_request().")));
}

/* The account of this call. */
const pg_uuid_t *
account_current(void)
{
	if (!has_account())
		refuse_without_account();
	return &current.account_id;
}

/* The account that a function was given as an argument. */
pg_uuid_t *
account_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("account must not be null")));
	return PG_GETARG_UUID_P(number);
}

/* Refuses an account that does not exist: its events could never be found again. */
void
account_require(const pg_uuid_t *account_id)
{
	char text[UUID_TEXT_LENGTH + 1];
	bool found;

	if (uuid_v7_equal(account_id, &default_account_id) || (verified && uuid_v7_equal(account_id, &verified_account_id)))
		return;

	SPI_connect();
	statement_execute(&read_account, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	found = SPI_processed > 0;
	SPI_finish();

	if (!found)
	{
		uuid_v7_to_text(account_id, text);
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("account \"%s\" does not exist", text),
						errhint("Make an account with usage_events.create_account(name), "
								"and name it in the setting usage_events.account_id.")));
	}
	account_verified(account_id);
}

/* Notes an account that was just seen in the table. */
void
account_verified(const pg_uuid_t *account_id)
{
	verified_account_id = *account_id;
	verified = true;
}

static void
change_setting(const pg_uuid_t *account_id, GucAction action)
{
	char text[UUID_TEXT_LENGTH + 1];

	uuid_v7_to_text(account_id, text);
	(void) set_config_option(ACCOUNT_SETTING, text, PGC_SUSET, PGC_S_SESSION, action, true, 0, false);
}

/* Makes `account_id` the account until the transaction ends: for a caller that has shown a right to it. */
void
account_set(const pg_uuid_t *account_id)
{
	change_setting(account_id, GUC_ACTION_LOCAL);
}

/* Leaves the transaction without an account. */
void
account_set_none(void)
{
	account_set(&no_account_id);
}

/*
 * Makes `account_id` the account until account_leave(), or until the transaction
 * or subtransaction fails.  Whoever may call the function that calls this may
 * act for any account: the right to execute it is the authority.
 */
int
account_enter(const pg_uuid_t *account_id)
{
	int nest_level = NewGUCNestLevel();

	if (!has_account() || !uuid_v7_equal(account_id, &current.account_id))
		change_setting(account_id, GUC_ACTION_SAVE);
	return nest_level;
}

void
account_leave(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}

PG_FUNCTION_INFO_V1(current_account_id);
Datum
current_account_id(PG_FUNCTION_ARGS pg_attribute_unused())
{
	pg_uuid_t *account_id = palloc(sizeof(pg_uuid_t));

	*account_id = *account_current();
	PG_RETURN_UUID_P(account_id);
}

PG_FUNCTION_INFO_V1(create_account);
Datum
create_account(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = palloc(sizeof(pg_uuid_t));
	text *name;
	const char *fault;
	int nest_level;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("account name must not be null")));

	name = PG_GETARG_TEXT_PP(0);
	fault = text_check((Slice){VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)});
	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid account name"),
						errdetail("The name %s.", fault)));

	uuid_v7_generate(account_id);

	/* Row-level security lets an account's own row be written only under that account. */
	nest_level = account_enter(account_id);
	SPI_connect();
	statement_execute(&insert_account, (Datum[]){UUIDPGetDatum(account_id), PointerGetDatum(name)}, NULL);
	SPI_finish();
	account_leave(nest_level);

	PG_RETURN_UUID_P(account_id);
}
