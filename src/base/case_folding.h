/*
 * base/case_folding.h
 *		Texts that are to be compared without regard to case.
 */
#ifndef USAGE_EVENTS_BASE_CASE_FOLDING_H
#define USAGE_EVENTS_BASE_CASE_FOLDING_H

#include "base/slice.h"

extern Slice case_fold(Slice text);

#endif /* USAGE_EVENTS_BASE_CASE_FOLDING_H */
