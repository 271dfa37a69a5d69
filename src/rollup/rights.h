/*
 * rollup/rights.h
 *		With whose rights rollups are refreshed.
 */
#ifndef USAGE_EVENTS_ROLLUP_RIGHTS_H
#define USAGE_EVENTS_ROLLUP_RIGHTS_H

/* What was before rollup_rights_take(). */
typedef struct RollupRights
{
	Oid user;
	int security_context;
	int nest_level;
} RollupRights;

extern void rollup_rights_use_settings(void);
extern RollupRights rollup_rights_take(void);
extern RollupRights rollup_rights_take_owners(void);
extern int rollup_rights_quieten(void);
extern void rollup_rights_give_back(RollupRights before);

#endif /* USAGE_EVENTS_ROLLUP_RIGHTS_H */
