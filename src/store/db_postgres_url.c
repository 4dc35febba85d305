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
