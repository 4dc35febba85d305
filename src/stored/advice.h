/* The DNS records that issuers recommend or need for all names: kept in memory, since each
 * issuer tells them with every lease. */
#ifndef CH_STORED_ADVICE_H
#define CH_STORED_ADVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "stored/json_in.h"

#define CH_ADVICE_MAX 8
#define CH_ADVICE_VALUE_MAX 400

enum ch_advice_kind {
	CH_ADVICE_CAA,	   /* "ca.example; accounturi=https://…; validationmethods=http-01" */
	CH_ADVICE_PERSIST, /* "ca.example; accounturi=https://…", TXT of dns-persist-01 */
	CH_ADVICE_KINDS
};

struct ch_advice {
	pthread_mutex_t lock;
	struct ch_advice_list {
		size_t n;
		char values[CH_ADVICE_MAX][CH_ADVICE_VALUE_MAX + 1];
	} lists[CH_ADVICE_KINDS];
	bool persist_all; /* not of wildcards only */
};

void ch_advice_init(struct ch_advice *advice);
void ch_advice_done(struct ch_advice *advice);
/* list: an array of values; NULL changes nothing.  What is wrong with it is latched for key. */
void ch_advice_take(struct ch_advice *advice, enum ch_advice_kind kind, struct ch_json_in *in,
	const char *key, json_t *list);
void ch_advice_persist_all(struct ch_advice *advice, bool all);
/* A new array of CAA records' data as in a zone file, for a wildcard or for a name. */
json_t *ch_advice_caa(struct ch_advice *advice, bool wildcard);
/* A new array of the standing TXT records that the name is validated by: {"name", "txt"}. */
json_t *ch_advice_persist(struct ch_advice *advice, const char *name);

#endif
