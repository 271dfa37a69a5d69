/*
 * metric/expression_parameter.c
 *		Parameters of CUSTOM metrics: integers that whoever asks may give.
 */
#include "postgres.h"

#include "metric/expression_parameter.h"

#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "metric/expression_rules.h"
#include "utils/builtins.h"

#define MAX_PARAMETERS 20

#define RESERVED_NAME(number, name, type, oid, array_oid) #name,

static const char *const reserved_names[] = {EACH_EVENT_COLUMN(RESERVED_NAME, RESERVED_NAME) EVENT_NAME};

static bool
member(const JsonbValue *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, name, (int) strlen(name), value) != NULL;
}

/* An integer, or the text of one; NULL if it is neither. */
static Numeric
read_integer(const JsonbValue *value)
{
	if (value->type == jbvNumeric)
	{
		Datum number = NumericGetDatum(value->val.numeric);
		Datum whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));

		return DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)) ? DatumGetNumeric(whole) : NULL;
	}
	if (value->type == jbvString)
	{
		char *text = pnstrdup(value->val.string.val, value->val.string.len);
		const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);

		if (value->val.string.len <= 255 && *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0' &&
			strlen(text) == (size_t) value->val.string.len)
			return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
													   Int32GetDatum(-1)));
	}
	return NULL;
}

/* Reads a value of the parameter; a fault if it has none of its type. */
static List *
read_value(List *faults, const char *field, const JsonbValue *json, CustomParameter *parameter)
{
	Numeric number = read_integer(json);

	if (number == NULL)
		return fault_add(faults, field,
						 json->type == jbvString
							 ? psprintf("must be an integer, not %s", fault_quote(json_string(json)))
						 : json->type == jbvNumeric ? "must be an integer, without a fraction"
													: psprintf("must be an integer, not %s", json_kind(json)));
	if (parameter->is_positive &&
		!DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(number), NumericGetDatum(int64_to_numeric(0)))))
		return fault_add(faults, field, "must be positive");
	parameter->value = number;
	return faults;
}

static List *
check_string(List *faults, const char *field, const JsonbValue *object, const char *name, Slice *text)
{
	JsonbValue value;
	const char *fault;

	*text = (Slice){NULL, 0};
	if (!member(object, name, &value))
		return fault_add(faults, field, "is missing");
	if (value.type != jbvString)
		return fault_add(faults, field, psprintf("must be a string, not %s", json_kind(&value)));
	fault = text_check(json_string(&value));
	if (fault != NULL)
		return fault_add(faults, field, fault);
	*text = json_string(&value);
	return faults;
}

/* Rule of a parameter's name: one that an expression can name without quotes, and that means nothing else. */
static const char *
check_parameter_name(const char *name, List *parameters)
{
	ListCell *cell;

	if (strlen(name) >= NAMEDATALEN || (*name >= '0' && *name <= '9') ||
		name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
		return psprintf("must have lower-case letters, digits and underscores, at most %d, and not begin with a digit",
						NAMEDATALEN - 1);
	for (size_t i = 0; i < lengthof(reserved_names); i++)
	{
		if (strcmp(name, reserved_names[i]) == 0)
			return "is a name of the event's own";
	}
	foreach(cell, parameters)
	{
		if (strcmp(name, ((CustomParameter *) lfirst(cell))->name) == 0)
			return "is the name of another parameter already";
	}
	return NULL;
}

static List *
read_parameter(List *faults, int index, const JsonbValue *json, List **parameters)
{
	CustomParameter *parameter = palloc0(sizeof(CustomParameter));
	const char *prefix = psprintf("parameters[%d]", index);
	List *own_faults = NIL;
	Slice text;
	JsonbValue value;
	const char *field;

	if (json->type != jbvBinary || !JsonContainerIsObject(json->val.binary.data))
		return fault_add(faults, prefix, psprintf("must be an object, not %s", json_kind(json)));

	field = psprintf("%s.name", prefix);
	own_faults = check_string(own_faults, field, json, "name", &text);
	if (text.data != NULL)
	{
		const char *fault;

		parameter->name = pnstrdup(text.data, text.length);
		fault = check_parameter_name(parameter->name, *parameters);
		if (fault != NULL)
			own_faults = fault_add(own_faults, field, fault);
		else
			*parameters = lappend(*parameters, parameter);
	}

	field = psprintf("%s.type", prefix);
	own_faults = check_string(own_faults, field, json, "type", &text);
	if (text.data != NULL)
	{
		parameter->is_positive = text.length == 16 && memcmp(text.data, "POSITIVE_INTEGER", 16) == 0;
		if (!parameter->is_positive && !(text.length == 7 && memcmp(text.data, "INTEGER", 7) == 0))
			own_faults = fault_add(own_faults, field, "must be \"INTEGER\" or \"POSITIVE_INTEGER\"");
	}

	own_faults = check_string(own_faults, psprintf("%s.description", prefix), json, "description", &text);

	field = psprintf("%s.defaultValue", prefix);
	own_faults = check_string(own_faults, field, json, "defaultValue", &text);
	if (text.data != NULL && member(json, "defaultValue", &value))
		own_faults = read_value(own_faults, field, &value, parameter);
	return list_concat(faults, own_faults);
}

/* Reads a metric's parameters, those whose name is good also where something else is not. */
List *
expression_parameters_read(List *faults, Jsonb *json, List **parameters)
{
	int count;

	*parameters = NIL;
	if (json == NULL)
		return faults;
	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		return fault_add(faults, "parameters", psprintf("must be an array, not %s", json_document_kind(json)));
	count = (int) JsonContainerSize(&json->root);
	if (count > MAX_PARAMETERS)
		return fault_add(faults, "parameters",
						 psprintf("must have at most %d elements, not %d", MAX_PARAMETERS, count));
	for (int i = 0; i < count; i++)
		faults = read_parameter(faults, i, getIthJsonbValueFromContainer(&json->root, i), parameters);
	return faults;
}

/* The parameters as they are stored and answered, each with a new id.  They have been checked. */
Jsonb *
expression_parameters_make(Jsonb *parameters, const pg_uuid_t *metric_id)
{
	static const char *const names[] = {"name", "type", "description", "defaultValue"};
	int count = parameters != NULL ? (int) JsonContainerSize(&parameters->root) : 0;
	Jsonb **elements = palloc(sizeof(Jsonb *) * Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		JsonbValue *parameter = getIthJsonbValueFromContainer(&parameters->root, i);
		JsonObject object = {0};
		pg_uuid_t id;

		uuid_v7_generate(&id);
		json_add_uuid(&object, SLICE("id"), &id);
		json_add_uuid(&object, SLICE("usageMetricId"), metric_id);
		for (size_t n = 0; n < lengthof(names); n++)
		{
			JsonbValue value;

			if (member(parameter, names[n], &value))
				json_add_text(&object, slice_from_cstring(names[n]), json_string(&value));
		}
		elements[i] = json_make_object(&object);
	}
	return json_make_array(elements, count);
}

/* Gives parameters the values that whoever calculates the metric has for them. */
void
expression_parameters_bind(List *parameters, Jsonb *arguments)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue value;
	List *faults = NIL;
	StringInfoData detail;

	if (arguments == NULL)
		return;
	if (!json_is_object(arguments))
		faults = fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(arguments)));
	else
	{
		iterator = JsonbIteratorInit(&arguments->root);
		while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
		{
			CustomParameter *parameter = NULL;
			const char *name;
			ListCell *cell;

			if (token != WJB_KEY)
				continue;
			(void) JsonbIteratorNext(&iterator, &value, true);
			name = pnstrdup(key.val.string.val, key.val.string.len);
			foreach(cell, parameters)
			{
				if (strcmp(((CustomParameter *) lfirst(cell))->name, name) == 0)
					parameter = lfirst(cell);
			}
			if (parameter != NULL)
				faults = read_value(faults, name, &value, parameter);
			else if (list_length(faults) <= MAX_PARAMETERS)
				faults = fault_add(faults, name, "is not a parameter of this metric");
		}
	}
	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The value", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid parameters of a custom usage metric"),
					errdetail_internal("%s", detail.data),
					errhint("Parameters are an object with an integer for each that shall not have its default, such "
							"as {\"price\": 4}.")));
}
