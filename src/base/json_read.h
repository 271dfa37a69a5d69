/*
 * base/json_read.h
 *		Values in JSON that came from a client.
 */
#ifndef USAGE_EVENTS_BASE_JSON_READ_H
#define USAGE_EVENTS_BASE_JSON_READ_H

#include "base/slice.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

extern const char *json_kind(const JsonbValue *value);
extern JsonbValue json_document(Jsonb *json);
extern const char *json_document_kind(Jsonb *json);
extern bool json_is_object(Jsonb *json);
extern bool json_member(Jsonb *object, const char *key, JsonbValue *value);
extern Slice json_string(const JsonbValue *value);
extern bool json_number_has_digits(Numeric number, int digits);
extern int json_number_length(Numeric number);
extern Size json_written_size(const JsonbContainer *container, Size size, Size limit);
extern Size json_text_size(const JsonbContainer *container, Size size, Size limit);
extern Size json_answer_add(Size size, const Jsonb *part);
extern void json_answer_check(const Jsonb *answer, Size written_size);

#endif /* USAGE_EVENTS_BASE_JSON_READ_H */
