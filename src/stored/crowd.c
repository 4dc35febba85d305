#include "stored/crowd.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 256u

/* Shared by the connections of one identity. */
struct ch_crowd_place {
	LIST_ENTRY(ch_crowd_place) link;
	size_t n;
	char who[];
};

LIST_HEAD(bucket, ch_crowd_place);

struct ch_crowd {
	size_t most;
	pthread_mutex_t lock; /* guards the rest */
	struct bucket buckets[BUCKETS];
};

int ch_crowd_new(size_t most, struct ch_crowd **ret_crowd, struct ch_err *err)
{
	struct ch_crowd *crowd = calloc(1, sizeof(*crowd));

	if (!crowd || pthread_mutex_init(&crowd->lock, NULL)) {
		free(crowd);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	crowd->most = most;
	*ret_crowd = crowd;
	return CH_OK;
}

void ch_crowd_free(struct ch_crowd *crowd)
{
	if (!crowd)
		return;
	pthread_mutex_destroy(&crowd->lock);
	free(crowd);
}

static struct bucket *bucket_of(struct ch_crowd *crowd, const char *who)
{
	uint32_t h = UINT32_C(0x811c9dc5); /* FNV-1a; an identity is not a stranger's choice */

	for (; *who; who++)
		h = (h ^ (unsigned char)*who) * UINT32_C(0x01000193);
	return &crowd->buckets[h % BUCKETS];
}

/* With the lock held; NULL when out of memory. */
static struct ch_crowd_place *find_or_make(struct ch_crowd *crowd, const char *who)
{
	struct bucket *bucket = bucket_of(crowd, who);
	struct ch_crowd_place *place;
	size_t who_b = strlen(who) + 1;

	LIST_FOREACH(place, bucket, link)
	if (strcmp(place->who, who) == 0)
		return place;
	place = calloc(1, sizeof(*place) + who_b);
	if (!place)
		return NULL;
	memcpy(place->who, who, who_b);
	LIST_INSERT_HEAD(bucket, place, link);
	return place;
}

int ch_crowd_join(struct ch_crowd *crowd, const char *who, struct ch_crowd_place **place,
	struct ch_err *err)
{
	struct ch_crowd_place *mine;
	int rc = CH_OK;

	/* The text does not change while somebody has the place. */
	if (*place && strcmp((*place)->who, who) == 0)
		return CH_OK;
	ch_crowd_leave(crowd, place);
	pthread_mutex_lock(&crowd->lock);
	mine = find_or_make(crowd, who);
	if (!mine)
		rc = ch_err_set(err, CH_ENOMEM, "store-busy", "The store is out of memory.");
	else if (mine->n >= crowd->most)
		rc = ch_err_set(err, CH_EAGAIN, "too-many-connections",
			"At most %zu connections of one identity may be open at a time.",
			crowd->most);
	else
		mine->n++;
	pthread_mutex_unlock(&crowd->lock);
	if (!rc)
		*place = mine;
	return rc;
}

void ch_crowd_leave(struct ch_crowd *crowd, struct ch_crowd_place **place)
{
	struct ch_crowd_place *mine = *place;

	*place = NULL;
	if (!mine)
		return;
	pthread_mutex_lock(&crowd->lock);
	if (--mine->n == 0) {
		LIST_REMOVE(mine, link);
		free(mine);
	}
	pthread_mutex_unlock(&crowd->lock);
}
