/*
 * http/openapi.c
 *		The HTTP API, described in OpenAPI 3.0: docs/openapi.json, which the build
 *		turns into a string.
 */
#include "postgres.h"

#include "http/openapi.h"

#include "fmgr.h"
#include "utils/builtins.h"

static const char description[] =
#include "http/openapi.inc"
	;

const char *
openapi_text(void)
{
	return description;
}

/* usage_events.openapi() */
PG_FUNCTION_INFO_V1(openapi);
Datum
openapi(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_TEXT_P(cstring_to_text(openapi_text()));
}
