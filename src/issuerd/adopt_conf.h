/* Which certificates, keys and names the server blocks of nginx, or the virtual hosts of
 * Apache, have; with what they include. */
#ifndef CH_ISSUERD_ADOPT_CONF_H
#define CH_ISSUERD_ADOPT_CONF_H

#include <jansson.h>

#include "base/err.h"
#include "issuerd/adopt_words.h"

#define CH_ADOPT_INCLUDE_DEPTH_MAX 16
#define CH_ADOPT_INCLUDE_FILES_MAX 1000000

struct ch_adopt_site { /* borrowed for the call; paths are absolute */
	const char *cert;
	const char *key;     /* may be that of the certificate */
	const char *chain;   /* NULL: none of its own */
	const json_t *names; /* of the block, as they stand there */
};

struct ch_adopt_conf_calls {
	void *arg;
	CH_MUST int (*site)(void *arg, const struct ch_adopt_site *site, struct ch_err *err);
	/* Something that is not understood, and does not stop the rest. */
	void (*problem)(void *arg, const char *path, const struct ch_err *err);
};

/* Relative paths are meant from the folder of the file (nginx's prefix, Apache's ServerRoot
 * unless it says another).  Only the file itself has to be readable. */
CH_MUST int ch_adopt_conf_read(enum ch_words_lang lang, const char *path,
	const struct ch_adopt_conf_calls *calls, struct ch_err *err);

#endif
