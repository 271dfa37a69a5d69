/*
 * rollup/rights.h
 *		With whose rights rollups are refreshed.
 */
#ifndef USAGE_EVENTS_ROLLUP_RIGHTS_H
#define USAGE_EVENTS_ROLLUP_RIGHTS_H

/* What was before refresh_rights_take(). */
typedef struct RefreshRights
{
	Oid user;
	int security_context;
	int nest_level;
} RefreshRights;

extern void refresh_rights_use_settings(void);
extern RefreshRights refresh_rights_take(void);
extern RefreshRights refresh_rights_take_owners(void);
extern int refresh_rights_quieten(void);
extern void refresh_rights_give_back(RefreshRights before);

#endif /* USAGE_EVENTS_ROLLUP_RIGHTS_H */
