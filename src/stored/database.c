#include "stored/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "store"

char *ch_database_text(struct ch_conf *conf)
{
	const char *text = ch_conf_str(conf, SECTION, "database", "sqlite:store/certherd.db");
	char *full;

	if (strncmp(text, "postgresql://", 13) == 0)
		return strdup(text);
	if (strncmp(text, "sqlite:", 7) != 0 || !text[7]) {
		ch_conf_fail(conf, SECTION, "database",
			"expected sqlite:PATH or postgresql://HOST/DATABASE");
		return NULL;
	}
	if (text[7] == '/')
		return strdup(text);
	if (asprintf(&full, "sqlite:%s/%s", ch_conf_dir(conf), text + 7) < 0)
		return NULL;
	return full;
}
