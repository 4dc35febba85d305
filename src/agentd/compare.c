#include "agentd/compare.h"

#include <stdio.h>
#include <string.h>

#include "agentd/compare_priv.h"
#include "base/mem.h"

/* The replica's side of a range; the caller has a lookup open. */
static int add_up(struct ch_compare *c, const struct ch_compare_range *range,
	struct ch_checksum *ret_sum, uint64_t *ret_names, bool *ret_bad_chain)
{
	struct ch_checksum sum = {.count = 0};
	uint64_t names = 0;
	struct ch_compare_entry e;
	bool bad_chain = false;
	char after[CH_RECORD_KEY_B];
	int rc;

	snprintf(after, sizeof(after), "%s", range->after);
	while ((rc = ch_compare_next(c, after, range->until, &e)) == CH_OK) {
		rc = ch_checksum_add(&sum, e.bytes, e.len, NULL);
		if (rc)
			return rc;
		names += e.is_name;
		bad_chain = bad_chain || e.bad_chain;
		memcpy(after, e.name, sizeof(after));
	}
	if (rc != CH_ENOTFOUND)
		return rc;
	*ret_sum = sum;
	*ret_names = names;
	*ret_bad_chain = bad_chain;
	return CH_OK;
}

/* One range, whose end is set in *range; *ret_more: there are further ones. */
static int compare_range(struct ch_compare *c, struct ch_compare_range *range, bool *ret_more,
	struct ch_err *err)
{
	CH_AUTO_COMPARE_ANSWER struct ch_compare_answer store = {.json = NULL};
	struct ch_checksum mine;
	uint64_t names;
	bool bad_chain;
	int rc = ch_compare_ask(c, range, false, &store, err);

	if (!rc)
		rc = ch_compare_wait(c, &store, err);
	if (rc)
		return rc;
	*ret_more = store.last[0] != 0;
	memcpy(range->until, store.last, sizeof(range->until));
	rc = add_up(c, range, &mine, &names, &bad_chain);
	ch_replica_end(c->reader);
	if (rc)
		return ch_err_set(err, rc, "replica-read", "the replica cannot be read: %s",
			ch_rc_str(rc));
	if (!bad_chain && mine.count == store.sum.count &&
		memcmp(mine.digest, store.sum.digest, CH_CHECKSUM_B) == 0) {
		c->names += names;
		return CH_OK;
	}
	return ch_compare_names(c, range, err);
}

int ch_compare_run(struct ch_compare *compare, struct ch_err *err)
{
	struct ch_compare_range range = {.after = ""};
	bool more = true;

	while (more) {
		int rc;

		range.until[0] = 0;
		rc = compare_range(compare, &range, &more, err);
		if (rc)
			return rc;
		memcpy(range.after, range.until, sizeof(range.after));
	}
	return CH_OK;
}
