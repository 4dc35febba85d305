/* Inside the backends over SQL: store/calendar.h. */
#ifndef CH_STORE_SQL_CALENDAR_H
#define CH_STORE_SQL_CALENDAR_H

#include "pace/calendar.h"
#include "store/sql_work.h"

#define CH_SLOTS_DIRTY_MAX 256

/* What renewal_slot says, for the writer alone: reading a thousand rows for each publication
 * would take longer than the rest of it.  SQLite tells which rows change; where nobody does,
 * they are read each time. */
struct ch_slots {
	struct ch_calendar_ring ring;
	bool is_told; /* of each row that changes, by ch_slots_changed */
	bool loaded;
	bool touched; /* a row has changed since ch_slots_begin */
	int64_t dirty[CH_SLOTS_DIRTY_MAX];
	size_t n_dirty;
};

void ch_slots_changed(struct ch_slots *slots, int64_t slot);
/* An operation begins, or is rolled back: then what was read meanwhile is forgotten. */
void ch_slots_begin(struct ch_slots *slots);
void ch_slots_rolled_back(struct ch_slots *slots);

/* The time in the span to renew at; seed spreads those of one slot. */
CH_MUST int ch_work_plan(struct ch_work *w, int64_t from_ms, int64_t until_ms,
	int64_t not_before_ms, int64_t not_after_ms, uint64_t seed, int64_t *ret_at_ms);

/* What a CA knows of an order that could be made. */
struct ch_live_cert {
	bool same;	   /* the certificate is for exactly these names, from this CA */
	bool in_window;	   /* the CA frees its renewal of all limits now */
	int64_t danger_ms; /* since when it ends soon; INT64_MAX: there is none */
	char ari_id[CH_STORE_ARI_ID_MAX + 1]; /* "": it cannot be named to the CA */
};
/* names: any order.  version 0, or a certificate that is gone: nothing of it. */
CH_MUST int ch_work_live_cert(struct ch_work *w, uint64_t version, const char *account,
	const char *const *names, size_t n_names, struct ch_live_cert *ret_live);

#endif
