/*
 * base/base64.c
 *		Bytes as text: base64 (RFC 4648), in its plain and its URL-safe form.
 *
 * The work is the server's; here are the two spellings of two letters, the
 * padding that many leave out, and that nothing else passes.
 */
#include "postgres.h"

#include "base/base64.h"

#include "common/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";

/* The last letter may have bits to spare.  They must be zero, or one thing would have many names. */
static bool
is_canonical(const char *encoded, int length, const void *bytes, int byte_count)
{
	char *again = palloc(pg_b64_enc_len(byte_count) + 1);

	return pg_b64_encode(bytes, byte_count, again, pg_b64_enc_len(byte_count)) == length &&
		   memcmp(encoded, again, length) == 0;
}

/* Decodes either form, with its padding or without; false for what is neither. */
bool
base64_decode(Slice encoded, Slice *decoded)
{
	int length = encoded.length;
	char *padded = palloc(length + 4);
	void *bytes;

	while (length > 0 && encoded.length - length < 2 && encoded.data[length - 1] == '=')
		length--;
	if (encoded.length != length && encoded.length % 4 != 0)
		return false;

	for (int i = 0; i < length; i++)
	{
		char letter = encoded.data[i];

		if (letter == '\0' || strchr(letters, letter) == NULL)
			return false;
		padded[i] = letter == '-' ? '+' : letter == '_' ? '/' : letter;
	}
	while (length % 4 != 0)
		padded[length++] = '=';

	bytes = palloc(pg_b64_dec_len(length) + 1);
	decoded->length = pg_b64_decode(padded, length, bytes, pg_b64_dec_len(length));
	decoded->data = bytes;
	return decoded->length >= 0 && is_canonical(padded, length, bytes, decoded->length);
}

/* Encodes in the URL-safe form, without padding. */
char *
base64_encode_for_url(const void *bytes, int length)
{
	int size = pg_b64_enc_len(length);
	char *encoded = palloc(size + 1);

	encoded[pg_b64_encode(bytes, length, encoded, size)] = '\0';
	for (char *letter = encoded; *letter != '\0'; letter++)
	{
		if (*letter == '+')
			*letter = '-';
		else if (*letter == '/')
			*letter = '_';
		else if (*letter == '=')
			*letter = '\0';
	}
	return encoded;
}
