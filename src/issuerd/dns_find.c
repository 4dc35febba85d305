#include "issuerd/dns_find.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/delegate.h"

#define BUCKETS 1024u
#define KEEP_MS (2 * CH_MINUTE_MS)

struct find {
	struct find *next; /* in its bucket */
	struct ch_dns_finder *finder;
	char name[CH_NAME_TEXT_B];
	char owner[CH_NAME_TEXT_B];
	uint64_t order;
	bool asking;
	bool ended;
	int64_t ended_ms; /* monotonic */
	enum ch_dns_fate fate;
	char target[CH_DNS_NAME_B];
	struct ch_err err;
};

struct ch_dns_finder {
	struct ch_dns_desk_options options;
	struct ch_dns *dns;
	pthread_mutex_t lock;
	struct find *buckets[BUCKETS];
	size_t n;
	size_t sweep; /* bucket that is looked through next */
};

static struct find **find_slot(struct ch_dns_finder *finder, const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	struct find **at;

	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	at = &finder->buckets[h % BUCKETS];
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct ch_dns_finder *finder, struct find **at)
{
	struct find *f = *at;

	*at = f->next;
	finder->n--;
	free(f);
}

static bool is_old(const struct find *f)
{
	return f->ended && ch_mono_ms() - f->ended_ms > KEEP_MS;
}

static void end(struct find *f, enum ch_dns_fate fate)
{
	f->fate = fate;
	f->ended = true;
	f->ended_ms = ch_mono_ms();
}

static void end_failed(struct find *f, const char *what)
{
	(void)ch_err_set(&f->err, CH_EAGAIN, "dns-delegation-failed",
		"The DNS servers of %s %s when they are asked for its TXT records: no CA could "
		"validate it.",
		f->owner, what);
	f->err.actor = CH_ACTOR_CUSTOMER;
	end(f, CH_DNS_BAD);
}

/* The end of an alias need not exist yet. */
static void judge(struct find *f, const struct ch_dns_answer *answer)
{
	const char *target = answer->n_chain ? answer->chain[answer->n_chain - 1] : f->owner;

	strcpy(f->target, target);
	if (ch_dns_config_permits(f->finder->options.config, f->owner, target, &f->err))
		end(f, CH_DNS_BAD);
	else
		end(f, CH_DNS_GOOD);
}

static void on_answer(const struct ch_dns_answer *answer, void *arg)
{
	struct find *f = arg;
	struct ch_dns_finder *finder = f->finder;
	uint64_t order;

	pthread_mutex_lock(&finder->lock);
	f->asking = false;
	order = f->order;
	if (answer->status == CH_DNS_FAILED)
		/* Also a chain that is too long, or has no end. */
		end_failed(f, "answer with an error, or with aliases without end,");
	else if (answer->status == CH_DNS_TIMEOUT && ch_dns_is_up(finder->dns))
		end_failed(f, "do not answer");
	else if (answer->status != CH_DNS_TIMEOUT && answer->status != CH_DNS_CANCELED)
		judge(f, answer);
	/* Else it is the resolvers' trouble: the next look asks again. */
	pthread_mutex_unlock(&finder->lock);
	if (finder->options.wake)
		finder->options.wake(finder->options.arg, order);
}

static void sweep(struct ch_dns_finder *finder)
{
	struct find **at = &finder->buckets[finder->sweep++ % BUCKETS];

	while (*at) {
		if (is_old(*at))
			drop(finder, at);
		else
			at = &(*at)->next;
	}
}

static struct find *add(struct ch_dns_finder *finder, struct find **at, const char *name)
{
	struct find *f = finder->n < CH_DNS_FINDS_MAX ? calloc(1, sizeof(*f)) : NULL;

	if (!f)
		return NULL;
	f->finder = finder;
	strcpy(f->name, name);
	finder->n++;
	*at = f;
	if (ch_delegate_owner(name, f->owner)) {
		(void)ch_err_set(&f->err, CH_ETOOBIG, "dns-delegation-failed",
			"%s is so long that _acme-challenge. in front of it is no name any "
			"more.",
			name);
		f->err.actor = CH_ACTOR_PLATFORM;
		end(f, CH_DNS_BAD);
	}
	return f;
}

enum ch_dns_fate ch_dns_finder_look(struct ch_dns_finder *finder, const char *name,
	uint64_t order, char ret_target[CH_DNS_NAME_B], struct ch_err *err)
{
	enum ch_dns_fate fate = CH_DNS_WAIT;
	struct find **at;
	struct find *f;

	pthread_mutex_lock(&finder->lock);
	sweep(finder);
	at = find_slot(finder, name);
	if (*at && is_old(*at)) {
		drop(finder, at);
		at = find_slot(finder, name);
	}
	f = *at ? *at : add(finder, at, name);
	if (f && f->ended) {
		fate = f->fate;
		if (fate == CH_DNS_GOOD)
			strcpy(ret_target, f->target);
		else
			*err = f->err;
	} else if (f) {
		f->order = order;
		if (!f->asking)
			f->asking = ch_dns_ask(finder->dns, f->owner, CH_DNS_TXT, on_answer,
					    f) == CH_OK;
	}
	pthread_mutex_unlock(&finder->lock);
	return fate;
}

void ch_dns_finder_forget(struct ch_dns_finder *finder, const char *name)
{
	struct find **at;

	pthread_mutex_lock(&finder->lock);
	at = find_slot(finder, name);
	if (*at && (*at)->ended)
		drop(finder, at);
	pthread_mutex_unlock(&finder->lock);
}

int ch_dns_finder_new(const struct ch_dns_desk_options *options, struct ch_dns *dns,
	struct ch_dns_finder **ret_finder)
{
	struct ch_dns_finder *finder = calloc(1, sizeof(*finder));

	if (!finder)
		return CH_ENOMEM;
	finder->options = *options;
	finder->dns = dns;
	pthread_mutex_init(&finder->lock, NULL);
	*ret_finder = finder;
	return CH_OK;
}

void ch_dns_finder_free(struct ch_dns_finder *finder)
{
	if (!finder)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (finder->buckets[i])
			drop(finder, &finder->buckets[i]);
	pthread_mutex_destroy(&finder->lock);
	free(finder);
}
