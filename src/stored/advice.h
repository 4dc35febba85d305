/* The CAA records that issuers recommend for all names: kept in memory, since each issuer tells
 * them with every lease. */
#ifndef CH_STORED_ADVICE_H
#define CH_STORED_ADVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "stored/json_in.h"

#define CH_ADVICE_MAX 8
#define CH_ADVICE_VALUE_MAX 400

struct ch_advice {
	pthread_mutex_t lock;
	size_t n;
	/* "ca.example; accounturi=https://…; validationmethods=http-01" */
	char values[CH_ADVICE_MAX][CH_ADVICE_VALUE_MAX + 1];
};

void ch_advice_init(struct ch_advice *advice);
void ch_advice_done(struct ch_advice *advice);
/* list: an array of values; NULL changes nothing.  What is wrong with it is latched for key. */
void ch_advice_take(
	struct ch_advice *advice, struct ch_json_in *in, const char *key, json_t *list);
/* A new array of records' data as in a zone file, for a wildcard or for a name. */
json_t *ch_advice_json(struct ch_advice *advice, bool wildcard);

#endif
