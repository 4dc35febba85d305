/* Inside the preflight: its jobs, each of one name; what all of them are kept in is locked. */
#ifndef CH_ISSUERD_PREFLIGHT_IMPL_H
#define CH_ISSUERD_PREFLIGHT_IMPL_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/codec.h"
#include "base/mem.h"
#include "issuerd/preflight.h"
#include "net/dns.h"
#include "net/reach.h"

#define CH_PREFLIGHT_BUCKETS 4096u
#define CH_PREFLIGHT_TOKEN_RAW_B 32
#define CH_PREFLIGHT_PATH "/.well-known/acme-challenge/"

enum ch_scout_state {
	CH_SCOUT_NO,   /* for an order */
	CH_SCOUT_NEXT, /* before there is an order: nothing is asked yet, */
	CH_SCOUT_OPEN, /* or it is */
	CH_SCOUT_ALIVE,
	CH_SCOUT_DEAD,
	CH_SCOUT_TOLD, /* alive, and kept for its order, if there is room and one comes soon */
};

struct ch_preflight_job {
	struct ch_preflight_job *next; /* in its bucket */
	struct ch_preflight *preflight;
	char name[CH_DNS_NAME_B];
	uint64_t order;
	void *who; /* NULL: for no order yet */
	const char *thumbprint;
	enum ch_acme_challenge_type method;
	int64_t began_ms; /* monotonic */
	bool ended;
	int64_t ended_ms; /* monotonic */
	unsigned pending; /* questions and fetches that are open */
	/* Owned, until both are there; without their texts, which would be most of it. */
	struct ch_dns_answer *a;
	struct ch_dns_answer *aaaa;
	const char *caa_at;	/* into name */
	struct ch_sites *sites; /* owned; NULL until its addresses are known */
	char path[sizeof(CH_PREFLIGHT_PATH) + CH_B64U_TEXT_B(CH_PREFLIGHT_TOKEN_RAW_B)];
	struct ch_preflight_result result;
	enum ch_scout_state scout;
	struct ch_look look;
	uint64_t beat;			      /* in which it was begun */
	TAILQ_ENTRY(ch_preflight_job) scouts; /* in next, alive, dead or told */
};

TAILQ_HEAD(ch_preflight_list, ch_preflight_job);

struct ch_preflight {
	struct ch_preflight_options options;
	struct ch_dns *dns;
	struct ch_reach *reach;
	pthread_mutex_t lock;
	struct ch_preflight_job *buckets[CH_PREFLIGHT_BUCKETS];
	size_t n;
	size_t sweep; /* bucket that is looked through next */
	/* Looks before there is an order: those that come next, and what was found out and is
	 * still to be told. */
	struct ch_preflight_list next;
	struct ch_preflight_list alive;
	struct ch_preflight_list dead;
	struct ch_preflight_list told; /* the oldest first */
	size_t n_told;
	struct ch_preflight_counts counts;
	uint64_t beat;	 /* the present one, */
	int64_t beat_ms; /* monotonic: its beginning, */
	size_t young;	 /* and looks begun in it that have not ended */
	bool pumping;
};

/* ---- preflight.c; with the lock held ---- */
/* Of this CA (NULL: of none yet); the place where it is, or would be. */
struct ch_preflight_job **ch_preflight_find(
	struct ch_preflight *p, const void *who, const char *name);
/* It must not have anything pending. */
void ch_preflight_drop(struct ch_preflight *p, struct ch_preflight_job **at);
/* A new one, in its bucket; NULL: there is no room for it. */
struct ch_preflight_job *ch_preflight_job_new(struct ch_preflight *p, const char *name);
/* Asks for its addresses. */
void ch_preflight_ask_addresses(struct ch_preflight_job *job);
void ch_preflight_end(struct ch_preflight_job *job, enum ch_preflight_fate fate);
/* What was found out so long ago that it says nothing any more. */
bool ch_preflight_is_old(const struct ch_preflight_job *job);

/* ---- preflight_scout.c; with the lock held ---- */
/* A job that ends is to be told of, if it is a look before there is an order. */
void ch_scout_ended(struct ch_preflight_job *job);
/* It is no look any more. */
void ch_scout_forget(struct ch_preflight_job *job);
/* Room for another job is made at the cost of what is only kept. */
void ch_scout_make_room(struct ch_preflight *p);

#endif
