/*
 * json_build.c
 *		Members of a JSON object that is being built, a line each.
 */
#include "postgres.h"

#include "json_build.h"

#include "utils/numeric.h"

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	pushJsonbValue(state, token, &value);
}

void
json_add_text(JsonbParseState **state, const char *key, const char *value)
{
	push_string(state, WJB_KEY, key);
	push_string(state, WJB_VALUE, value);
}

void
json_add_integer(JsonbParseState **state, const char *key, int64 value)
{
	JsonbValue number;

	number.type = jbvNumeric;
	number.val.numeric = int64_to_numeric(value);
	push_string(state, WJB_KEY, key);
	pushJsonbValue(state, WJB_VALUE, &number);
}

/* The value is an object or an array. */
void
json_add_json(JsonbParseState **state, const char *key, Jsonb *value)
{
	JsonbValue json;

	json.type = jbvBinary;
	json.val.binary.data = &value->root;
	json.val.binary.len = VARSIZE(value) - VARHDRSZ;
	push_string(state, WJB_KEY, key);
	pushJsonbValue(state, WJB_VALUE, &json);
}
