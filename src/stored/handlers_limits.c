/* What is used up of the CAs' limits. */
#include <string.h>

#include "base/clock.h"
#include "stored/handlers.h"
#include "stored/issuers.h"
#include "stored/present.h"
#include "stored/says.h"
#include "stored/service.h"

struct paces {
	struct ch_store_pace list[CH_SAYS_PACES_MAX];
	size_t n;
};

static json_t *bucket_json(const struct ch_store_bucket *b)
{
	char limit[CH_LIMIT_TEXT_B];

	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "limit", ch_paced_str(b->paced),
		"of", b->of, "allowed", ch_limit_str(&b->limit, limit), "left",
		(json_int_t)b->left, "next_at", ch_present_time(b->next_at_ms), "full_at",
		ch_present_time(b->full_at_ms));
}

/* Of that account, or of any account of that CA. */
static bool is_of(const struct ch_store_bucket *b, const struct ch_store_pace *pace)
{
	size_t ca = strcspn(pace->account, "/");

	return b->paced == CH_PACED_ACCOUNT
		       ? strcmp(b->of, pace->account) == 0
		       : strncmp(b->of, pace->account, ca) == 0 && b->of[ca] == ':';
}

/* What is left by the limit that the issuers keep to now: the store has the one by which it
 * last took a token.  False: there is none any more. */
static bool bring_up_to_date(
	struct ch_store_bucket *b, const struct paces *paces, int64_t now_ms)
{
	struct ch_bucket bucket = {.tat_us = b->full_at_ms * 1000};

	for (size_t i = 0; i < paces->n; i++) {
		const struct ch_limit *wanted = &paces->list[i].limits[b->paced];

		if (!is_of(b, &paces->list[i]))
			continue;
		/* What a CA has said of a limit that nobody configured is a bucket of one that
		 * is full again at once. */
		if (!wanted->size)
			return b->limit.size == 1 && b->limit.refill_us == 1;
		b->limit = ch_limit_with_margin(wanted);
		b->left = ch_bucket_level(&bucket, &b->limit, now_ms);
		b->next_at_ms = ch_bucket_ready_at_ms(&bucket, &b->limit, 1, now_ms);
		return true;
	}
	return true;
}

static int read_paces(struct ch_req *req, struct paces *paces)
{
	json_auto_t *says = ch_issuers_says(req->service->issuers);

	paces->n = 0;
	return says ? ch_says_paces(says, req->arena, paces->list, &paces->n) : CH_OK;
}

void ch_handle_limits(struct ch_req *req)
{
	struct ch_store_limits limits;
	struct paces paces;
	json_t *list;
	int rc = ch_store_get_limits(req->service->store, req->arena, &limits);

	if (!rc)
		rc = read_paces(req, &paces);
	if (rc) {
		ch_req_fail_rc(req, rc, "list limits");
		return;
	}
	list = json_array();
	for (size_t i = 0; i < limits.n_buckets; i++) {
		struct ch_store_bucket b = limits.buckets[i];

		if (bring_up_to_date(&b, &paces, ch_now_ms()))
			(void)json_array_append_new(list, bucket_json(&b));
	}
	ch_req_json(req, 200,
		json_pack("{s:o, s:b, s:I}", "limits", list, "more", limits.more, "waiting",
			(json_int_t)limits.waiting));
}
