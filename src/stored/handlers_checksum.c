/* GET /v1/feed/checksum: what an edge's replica is compared with, a range of names at a time.
 */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"
#include "wire/checksum.h"

#define LIMIT_DEFAULT 1000

struct sums {
	struct ch_checksum sum;
	json_t *records; /* NULL: only the sum is asked for */
};

static int add_listed(
	struct sums *sums, const struct ch_record *record, const uint8_t digest[CH_CHECKSUM_B])
{
	char key[CH_RECORD_KEY_B];
	size_t len = ch_record_key(record->kind, record->name, record->name_len, key);
	json_t *item = json_pack("{s:s%, s:I, s:o}", "name", key, len, "version",
		(json_int_t)record->version, "sha256", ch_present_hex(digest, CH_CHECKSUM_B));

	return json_array_append_new(sums->records, item) ? CH_ENOMEM : CH_OK;
}

static int add_record(const struct ch_store_feed_row *row, void *arg)
{
	struct sums *sums = arg;
	uint8_t digest[CH_CHECKSUM_B];
	struct ch_record record;
	int rc = ch_checksum_add(&sums->sum, row->record, row->record_len, digest);

	if (rc || !sums->records)
		return rc;
	if (ch_record_decode(row->record, row->record_len, &record))
		return CH_ECORRUPT;
	return add_listed(sums, &record, digest);
}

/* False: the answer is given.  An edge sees its own pool only. */
static bool read_pool(struct ch_req *req, const char **ret_pool)
{
	const char *pool = ch_query_get(&req->query, "pool");
	bool is_edge = req->who.role == CH_ROLE_EDGE;

	if (!pool)
		pool = is_edge ? req->who.uri.scope : "default";
	if (!ch_domain_in_is_label(pool)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "pool",
			"A pool is 1 to %d of a-z, 0-9, '.', '_', '-'.", CH_STORE_LABEL_MAX);
		return false;
	}
	if (is_edge && strcmp(pool, req->who.uri.scope) != 0) {
		ch_req_problem(req, CH_EAUTH, "not-allowed", NULL,
			"An edge may ask about its own pool only.");
		return false;
	}
	*ret_pool = pool;
	return true;
}

static bool read_name(struct ch_req *req, const char *key, const char **ret_name)
{
	const char *name = ch_query_get(&req->query, key);

	if (name && !ch_domain_in_is_key(name)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", key,
			"%s must be a normalized name or the key of a record.", key);
		return false;
	}
	*ret_name = name;
	return true;
}

static bool read_filter(
	struct ch_req *req, struct ch_store_records_filter *ret_filter, bool *ret_list)
{
	struct ch_store_records_filter filter = {0};
	struct ch_err err = {0};
	int64_t limit;
	int64_t list;

	if (!read_pool(req, &filter.pool) || !read_name(req, "after", &filter.after) ||
		!read_name(req, "until", &filter.until))
		return false;
	if (ch_query_int(&req->query, "list", 0, 0, 1, &list, &err)) {
		ch_req_fail(req, &err, "list");
		return false;
	}
	if (ch_query_int(&req->query, "limit", LIMIT_DEFAULT, 1,
		    list ? CH_STORE_LIST_MAX : CH_STORE_RECORDS_MAX, &limit, &err)) {
		ch_req_fail(req, &err, "limit");
		return false;
	}
	if (req->who.role == CH_ROLE_EDGE)
		filter.edge = req->who.uri.id;
	filter.limit = (size_t)limit;
	*ret_filter = filter;
	*ret_list = list != 0;
	return true;
}

static void answer(struct ch_req *req, const char *pool,
	const struct ch_store_records_info *info, struct sums *sums)
{
	json_t *body = json_pack("{s:s, s:o, s:I, s:I, s:o, s:s?}", "pool", pool, "epoch",
		ch_present_hex(info->epoch, CH_EPOCH_B), "head", (json_int_t)info->head,
		"count", (json_int_t)sums->sum.count, "sha256",
		ch_present_hex(sums->sum.digest, CH_CHECKSUM_B), "last",
		info->more ? info->last : NULL);

	if (body && sums->records && json_object_set(body, "records", sums->records)) {
		json_decref(body);
		body = NULL;
	}
	ch_req_json(req, 200, body);
}

void ch_handle_feed_checksum(struct ch_req *req)
{
	struct ch_store_records_filter filter;
	struct ch_store_records_info info;
	struct sums sums = {.records = NULL};
	bool list;
	int rc;

	if (!read_filter(req, &filter, &list))
		return;
	if (list && !(sums.records = json_array())) {
		ch_req_fail_rc(req, CH_ENOMEM, "compute a checksum");
		return;
	}
	rc = ch_store_read_records(req->service->store, &filter, add_record, &sums, &info);
	if (rc)
		ch_req_fail_rc(req, rc, "compute a checksum");
	else
		answer(req, filter.pool, &info, &sums);
	json_decref(sums.records);
}
