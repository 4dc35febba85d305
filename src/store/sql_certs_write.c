#include "store/sql_work.h"

static int drop_orphan(struct ch_work *w, uint64_t version)
{
	return ch_db_run(w->db,
		"DELETE FROM cert WHERE version = ?1 "
		"AND NOT EXISTS (SELECT 1 FROM cert_name WHERE version = ?1)",
		"i", version);
}

int ch_work_trim_certs(struct ch_work *w, const char *name, const uint64_t keep[CH_KEPT_CERTS])
{
	int64_t version;
	int rc;

	for (;;) {
		rc = ch_db_get_i64(w->db, &version,
			"SELECT version FROM cert_name WHERE name = ? AND version NOT IN (?, "
			"?, ?, ?, ?, ?) LIMIT 1",
			"tiiiiii", name, keep[0], keep[1], keep[2], keep[3], keep[4], keep[5]);
		if (rc)
			return rc == CH_ENOTFOUND ? CH_OK : rc;
		rc = ch_db_run(w->db, "DELETE FROM cert_name WHERE name = ? AND version = ?",
			"ti", name, version);
		if (!rc)
			rc = drop_orphan(w, (uint64_t)version);
		if (rc)
			return rc;
	}
}

int ch_work_forget_certs(struct ch_work *w, const char *name)
{
	return ch_work_trim_certs(w, name, (const uint64_t[CH_KEPT_CERTS]){0});
}
