/*
 * base/json_elements.h
 *		The elements of a JSON array as they stand in its text.
 */
#ifndef USAGE_EVENTS_BASE_JSON_ELEMENTS_H
#define USAGE_EVENTS_BASE_JSON_ELEMENTS_H

#include "base/slice.h"

extern bool json_elements(Slice array, Slice **elements, int *count);

#endif /* USAGE_EVENTS_BASE_JSON_ELEMENTS_H */
