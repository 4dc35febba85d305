/* What is used up of the CAs' limits. */
#include "base/clock.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

static json_t *bucket_json(const struct ch_store_bucket *b)
{
	char limit[CH_LIMIT_TEXT_B];

	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "limit", ch_paced_str(b->paced),
		"of", b->of, "allowed", ch_limit_str(&b->limit, limit), "left",
		(json_int_t)b->left, "next_at", ch_present_time(b->next_at_ms), "full_at",
		ch_present_time(b->full_at_ms));
}

void ch_handle_limits(struct ch_req *req)
{
	struct ch_store_limits limits;
	json_t *list;
	int rc = ch_store_get_limits(req->service->store, req->arena, &limits);

	if (rc) {
		ch_req_fail_rc(req, rc, "list limits");
		return;
	}
	list = json_array();
	for (size_t i = 0; i < limits.n_buckets; i++)
		(void)json_array_append_new(list, bucket_json(&limits.buckets[i]));
	ch_req_json(req, 200,
		json_pack("{s:o, s:b, s:I}", "limits", list, "more", limits.more, "waiting",
			(json_int_t)limits.waiting));
}
