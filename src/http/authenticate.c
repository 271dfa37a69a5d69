/*
 * http/authenticate.c
 *		Who asks: what PostgREST calls before it serves a request.
 *
 * The client sends "Authorization: Basic" (RFC 7617) with a client id and its
 * secret.  What is wrong with the credentials is not said, lest somebody tries
 * ids until one is known; only who has the secret learns that the key expired.
 * Nothing is written, because a GET runs in a read-only transaction.
 */
#include "postgres.h"

#include "http/authenticate.h"

#include "account/api_key.h"
#include "base/base64.h"
#include "base/compat.h"
#include "endpoint/request.h"
#include "endpoint/response.h"
#include "fmgr.h"

#define BLANKS " \t"

/* Longer credentials than any that we issue are not worth decoding. */
#define MAX_CREDENTIALS_LENGTH 1024

#define CREDENTIALS_HINT \
	"Send \"Authorization: Basic\" with the base64 form of \"<client id>:<client secret>\", as curl -u does."

/* The transaction that was authenticated last. */
static LocalTransactionId authenticated_in = InvalidLocalTransactionId;

static void
refuse(const char *message, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_HTTP_UNAUTHORIZED), errmsg_internal("%s", message),
					hint == NULL ? 0 : errhint("%s", hint)));
}

/* Takes "Basic <base64>" apart; false if it is something else. */
static bool
read_credentials(const char *authorization, Slice *client_id, Slice *client_secret)
{
	static const char scheme[] = "basic";
	const int scheme_length = sizeof(scheme) - 1;
	Slice encoded;
	Slice decoded;
	const char *colon;

	authorization += strspn(authorization, BLANKS);
	if (pg_strncasecmp(authorization, scheme, scheme_length) != 0 || strspn(authorization + scheme_length, BLANKS) == 0)
		return false;

	encoded.data = authorization + scheme_length + strspn(authorization + scheme_length, BLANKS);
	encoded.length = (int) strcspn(encoded.data, BLANKS);
	if (encoded.data[encoded.length + strspn(encoded.data + encoded.length, BLANKS)] != '\0' ||
		encoded.length > MAX_CREDENTIALS_LENGTH || !base64_decode(encoded, &decoded))
		return false;

	colon = memchr(decoded.data, ':', decoded.length);
	if (colon == NULL)
		return false;
	*client_id = (Slice){decoded.data, (int) (colon - decoded.data)};
	*client_secret = (Slice){colon + 1, (int) (decoded.data + decoded.length - colon - 1)};
	return true;
}

static void
require_credentials(const char *authorization)
{
	Slice client_id;
	Slice client_secret;

	if (authorization[strspn(authorization, BLANKS)] == '\0')
		refuse("request has no credentials", CREDENTIALS_HINT);
	if (!read_credentials(authorization, &client_id, &client_secret))
		refuse("credentials cannot be read", CREDENTIALS_HINT);

	switch (api_key_verify(client_id, client_secret))
	{
		case API_KEY_VALID:
			break;
		case API_KEY_EXPIRED:
			refuse("API key has expired or was revoked", NULL);
			break;
		case API_KEY_UNKNOWN:
			refuse("client id or client secret is wrong", NULL);
			break;
	}
}

/* Absent, empty, or the one that we speak. */
static void
require_version(const char *version)
{
	if (*version != '\0' && strcmp(version, HTTP_API_VERSION) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown version of the API"),
						errdetail("\"Sequence-Version\" must be \"" HTTP_API_VERSION "\" or absent.")));
}

static Datum
authenticate(PG_FUNCTION_ARGS pg_attribute_unused())
{
	Jsonb *headers = http_request_headers();

	require_credentials(http_header(headers, "authorization"));
	require_version(http_header(headers, "sequence-version"));
	http_set_headers();
	authenticated_in = current_local_transaction_id();
	PG_RETURN_VOID();
}

void
http_require_authenticated(void)
{
	if (authenticated_in != current_local_transaction_id())
		http_refuse_unauthenticated();
}

/* usage_events.authenticate_request() */
PG_FUNCTION_INFO_V1(authenticate_request);
Datum
authenticate_request(PG_FUNCTION_ARGS)
{
	return http_respond(authenticate, fcinfo);
}
