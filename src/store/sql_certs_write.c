#include <string.h>

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
			"?, ?, ?, ?) LIMIT 1",
			"tiiiii", name, keep[0], keep[1], keep[2], keep[3], keep[4]);
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

int ch_work_trim_second_standbys(struct ch_work *w, const char *name, uint64_t keep)
{
	char key[CH_RECORD_KEY_B];

	ch_record_key(CH_RECORD_SECOND, name, strlen(name), key);
	return ch_work_trim_certs(w, key, (const uint64_t[CH_KEPT_CERTS]){keep});
}

int ch_work_forget_certs(struct ch_work *w, const char *name)
{
	int rc = ch_work_trim_certs(w, name, (const uint64_t[CH_KEPT_CERTS]){0});

	return rc ? rc : ch_work_trim_second_standbys(w, name, 0);
}
