/*
 * case_folding.h
 *		Texts that are to be compared without regard to case.
 */
#ifndef USAGE_EVENTS_CASE_FOLDING_H
#define USAGE_EVENTS_CASE_FOLDING_H

#include "usage_event.h"

extern EventText case_fold(EventText text);

#endif /* USAGE_EVENTS_CASE_FOLDING_H */
