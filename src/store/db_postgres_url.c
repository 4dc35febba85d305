#include <libpq-fe.h>
#include <stdbool.h>
#include <string.h>

#include "store/db_postgres.h"

/* A password does not belong into a configuration that is shown around. */
int ch_db_postgres_check_url(const char *url, struct ch_err *err)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &message);
	bool has_password = false;
	int rc = CH_OK;

	for (PQconninfoOption *o = options; o && o->keyword; o++)
		has_password |= strcmp(o->keyword, "password") == 0 && o->val;
	if (!options)
		rc = ch_err_set(err, CH_EINVAL, "bad-database",
			"the URL of the database: %.200s", message ? message : "out of memory");
	else if (has_password)
		rc = ch_err_set(err, CH_EINVAL, "bad-database",
			"the URL of the database has a password in it: put that into a file "
			"and "
			"name the file, with ?passfile=PATH (libpq's format), or use a "
			"certificate: ?sslcert=PATH&sslkey=PATH");
	PQconninfoFree(options);
	PQfreemem(message);
	return rc;
}

/* What the URL does not say.  A line that is cut must not be waited on for longer than who asks
 * the store waits: libpq would for a quarter of an hour, or for ever. */
PGconn *ch_db_postgres_connect(const char *url)
{
	const char *const keys[] = {"connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "fallback_application_name",
		"target_session_attrs", "dbname", NULL};
	const char *const values[] = {
		"3", "5", "2", "3", "10000", "certherd", "read-write", url, NULL};

	return PQconnectdbParams(keys, values, 1);
}
