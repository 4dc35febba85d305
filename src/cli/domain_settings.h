/* What `domain add` and `domain import` may say about a name beside its www name. */
#ifndef CH_CLI_DOMAIN_SETTINGS_H
#define CH_CLI_DOMAIN_SETTINGS_H

#include <jansson.h>

struct ch_domain_settings { /* borrowed texts; NULL: not given */
	const char *tenant;
	const char *pool;
	const char *upstream;
	const char *hsts;
	const char *redirect;
	const char *keys;
	const char *cas; /* "main,backup"; "": any */
	const char *standby;
};

/* Puts those that are given into a request's body.  NULL or no UTF-8: CH_EINVAL. */
int ch_domain_settings_put(const struct ch_domain_settings *settings, json_t *body);

#endif
