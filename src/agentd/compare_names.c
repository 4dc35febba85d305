/* Where checksums differ: name by name. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/compare_priv.h"
#include "base/clock.h"
#include "base/mem.h"

#define LOOKS 5
#define BETWEEN_LOOKS_MS 200

/* What seems to differ, in the order of names: at most CH_COMPARE_LIST of each side. */
struct suspects {
	struct ch_difference list[2 * CH_COMPARE_LIST];
	size_t n;
	uint64_t names; /* of the replica that were looked at */
};

const char *ch_difference_str(enum ch_difference_kind kind)
{
	static const char *const words[] = {
		[CH_DIFFERENCE_MISSING] = "missing",
		[CH_DIFFERENCE_EXTRA] = "extra",
		[CH_DIFFERENCE_VERSION] = "version",
		[CH_DIFFERENCE_CONTENT] = "content",
		[CH_DIFFERENCE_DAMAGED] = "damaged",
		[CH_DIFFERENCE_CHAIN] = "chain",
	};

	return words[kind];
}

static void suspect(struct suspects *s, enum ch_difference_kind kind, const char *name,
	uint64_t store_version, uint64_t replica_version)
{
	struct ch_difference *d = &s->list[s->n++];

	snprintf(d->name, sizeof(d->name), "%s", name);
	d->kind = kind;
	d->store_version = store_version;
	d->replica_version = replica_version;
}

/* The store has the name too. */
static int judge(struct suspects *s, const struct ch_compare_item *item,
	const struct ch_compare_entry *e)
{
	struct ch_checksum sum = {.count = 0};
	uint8_t digest[CH_CHECKSUM_B];
	int rc = ch_checksum_add(&sum, e->bytes, e->len, digest);

	if (rc)
		return rc;
	if (memcmp(digest, item->sha256, sizeof(digest)) == 0) {
		if (e->bad_chain)
			suspect(s, CH_DIFFERENCE_CHAIN, e->name, item->version, e->version);
	} else if (e->damaged) {
		suspect(s, CH_DIFFERENCE_DAMAGED, e->name, item->version, 0);
	} else if (e->version != item->version) {
		suspect(s, CH_DIFFERENCE_VERSION, e->name, item->version, e->version);
	} else {
		suspect(s, CH_DIFFERENCE_CONTENT, e->name, item->version, e->version);
	}
	return CH_OK;
}

/* Walks through both sides; a lookup is open.  Where the replica has too many names that the
 * store lacks the range is cut short: the rest comes next time. */
static int merge(struct ch_compare *c, struct ch_compare_range *range,
	const struct ch_compare_answer *store, struct suspects *s)
{
	struct ch_compare_entry e;
	char after[CH_RECORD_KEY_B];
	size_t at = 0;
	int rc;

	snprintf(after, sizeof(after), "%s", range->after);
	while ((rc = ch_compare_next(c, after, range->until, &e)) == CH_OK) {
		for (; at < store->n_items && strcmp(store->items[at].name, e.name) < 0; at++)
			suspect(s, CH_DIFFERENCE_MISSING, store->items[at].name,
				store->items[at].version, 0);
		s->names += e.is_name;
		if (at < store->n_items && strcmp(store->items[at].name, e.name) == 0)
			rc = judge(s, &store->items[at++], &e);
		else
			suspect(s, e.damaged ? CH_DIFFERENCE_DAMAGED : CH_DIFFERENCE_EXTRA,
				e.name, 0, e.version);
		if (rc)
			return rc;
		memcpy(after, e.name, sizeof(after));
		/* Room for those that are missing, at most one of which each item is. */
		if (s->n + (store->n_items - at) + 1 > CH_ARRAY_LEN(s->list)) {
			memcpy(range->until, after, sizeof(range->until));
			return CH_OK;
		}
	}
	if (rc != CH_ENOTFOUND)
		return rc;
	for (; at < store->n_items; at++)
		suspect(s, CH_DIFFERENCE_MISSING, store->items[at].name,
			store->items[at].version, 0);
	return CH_OK;
}

static const struct ch_compare_item *find(
	const struct ch_compare_answer *answer, const char *name)
{
	size_t low = 0;
	size_t high = answer->n_items;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(answer->items[middle].name, name);

		if (order == 0)
			return &answer->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Whether the store said the same of the name both times. */
static bool is_settled(const struct ch_compare_answer *before,
	const struct ch_compare_answer *then, const char *name)
{
	const struct ch_compare_item *a = find(before, name);
	const struct ch_compare_item *b = find(then, name);

	if (then->last[0] && strcmp(name, then->last) > 0)
		return false;
	if (!a || !b)
		return !a && !b;
	return a->version == b->version && memcmp(a->sha256, b->sha256, CH_CHECKSUM_B) == 0;
}

/* One look at a part of the range; cuts the range to what was looked at.  Suspects that are not
 * settled are dropped from the list and counted. */
static int look(struct ch_compare *c, struct ch_compare_range *range, struct suspects *s,
	uint64_t *ret_unsettled, struct ch_err *err)
{
	CH_AUTO_COMPARE_ANSWER struct ch_compare_answer before = {.json = NULL};
	CH_AUTO_COMPARE_ANSWER struct ch_compare_answer then = {.json = NULL};
	size_t n = 0;
	int rc = ch_compare_ask(c, range, true, &before, err);

	if (!rc)
		rc = ch_compare_wait(c, &before, err);
	if (rc)
		return rc;
	if (before.last[0])
		memcpy(range->until, before.last, sizeof(range->until));
	s->n = 0;
	s->names = 0;
	rc = merge(c, range, &before, s);
	ch_replica_end(c->reader);
	if (rc)
		return ch_err_set(err, rc, "replica-read", "the replica cannot be read: %s",
			ch_rc_str(rc));
	rc = ch_compare_ask(c, range, true, &then, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < s->n; i++)
		if (is_settled(&before, &then, s->list[i].name))
			s->list[n++] = s->list[i];
	*ret_unsettled = s->n - n;
	s->n = n;
	return CH_OK;
}

static void report(struct ch_compare *c, const struct suspects *s, uint64_t unsettled)
{
	c->names += s->names;
	c->differing += s->n;
	c->unsettled += unsettled;
	for (size_t i = 0; i < s->n && c->found; i++)
		c->found(&s->list[i], c->found_arg);
}

static void pause_for(int64_t most_ms)
{
	(void)!poll(NULL, 0, most_ms < BETWEEN_LOOKS_MS ? (int)most_ms : BETWEEN_LOOKS_MS);
}

int ch_compare_names(
	struct ch_compare *compare, const struct ch_compare_range *range, struct ch_err *err)
{
	CH_AUTO_FREE struct suspects *s = malloc(sizeof(*s));
	struct ch_compare_range part = *range;
	int64_t until_ms = ch_mono_ms() + compare->wait_ms;

	if (!s)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	do {
		uint64_t unsettled = 1;

		/* While many names go live some are always on their way: others each time. */
		for (int i = 0; unsettled && (i < LOOKS || ch_mono_ms() < until_ms); i++) {
			int rc;

			if (i)
				pause_for(compare->wait_ms);
			memcpy(part.until, range->until, sizeof(part.until));
			rc = look(compare, &part, s, &unsettled, err);
			if (rc)
				return rc;
		}
		report(compare, s, unsettled);
		memcpy(part.after, part.until, sizeof(part.after));
	} while (strcmp(part.until, range->until) != 0);
	return CH_OK;
}
