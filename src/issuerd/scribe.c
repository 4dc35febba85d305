#include "issuerd/scribe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* Both far below what a store takes in one request: 64 steps, 1 MiB. */
#define TOGETHER_MAX 32
#define TOGETHER_B (512u * 1024u)
#define VALUE_B 20u /* of a number, or of what is around a text and its key */
/* A store of before may be replaced by its next version. */
#define SINGLE_MS (5 * CH_MINUTE_MS)

void ch_scribe_init(struct ch_scribe *scribe)
{
	memset(scribe, 0, sizeof(*scribe));
	pthread_mutex_init(&scribe->lock, NULL);
	scribe->last = &scribe->first;
}

void ch_scribe_done(struct ch_scribe *scribe)
{
	pthread_mutex_destroy(&scribe->lock);
}

static void write_one(struct ch_api *api, struct ch_scribe_item *item)
{
	char path[64];
	struct ch_api_call call = {
		.method = item->publish ? "POST" : "PATCH", .path = path, .body = item->body};

	snprintf(path, sizeof(path), "/v1/orders/%" PRIu64 "%s", item->order_id,
		item->publish ? "/publish" : "");
	item->rc = ch_api_call(api, &call, &item->err);
	item->answer = call.answer;
}

static json_t *list_json(struct ch_scribe_item *const *items, size_t n, bool publish)
{
	json_auto_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (items[i]->publish == publish &&
			json_array_append_new(list,
				json_pack("{sIsO}", "id", (json_int_t)items[i]->order_id,
					publish ? "publication" : "patch", items[i]->body)))
			return NULL;
	return json_incref(list);
}

static json_t *steps_json(struct ch_scribe_item *const *items, size_t n)
{
	return json_pack("{soso}", "patches", list_json(items, n, false), "publications",
		list_json(items, n, true));
}

static void take_answer(struct ch_api *api, struct ch_scribe_item *item, json_t *answer)
{
	const json_t *problem = json_object_get(answer, "problem");

	if (problem) {
		item->rc = ch_api_problem(api, problem, &item->err);
		return;
	}
	if (json_integer_value(json_object_get(answer, "id")) != (json_int_t)item->order_id) {
		item->rc = ch_err_set(&item->err, CH_EPROTO, "steps",
			"%s does not say what became of the step", ch_api_url(api));
		return;
	}
	item->rc = CH_OK;
	item->answer = json_incref(answer);
}

/* What the store does not say was written was not: it is written again, and answered as the
 * first time if it was. */
static int write_together(struct ch_api *api, struct ch_scribe_item *const *items, size_t n,
	int *ret_status, struct ch_err *err)
{
	json_auto_t *body = steps_json(items, n);
	struct ch_api_call call = {.method = "POST", .path = "/v1/steps", .body = body};
	json_auto_t *answer = NULL;
	json_t *lists[2]; /* by whether they publish */
	size_t at[2] = {0, 0};
	int rc;

	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_api_call(api, &call, err);
	answer = call.answer;
	*ret_status = call.status;
	if (rc)
		return rc;
	lists[0] = json_object_get(answer, "patches");
	lists[1] = json_object_get(answer, "publications");
	for (size_t i = 0; i < n; i++) {
		bool which = items[i]->publish;

		take_answer(api, items[i], json_array_get(lists[which], at[which]++));
	}
	return CH_OK;
}

/* Whether the request as a whole is what the store does not take. */
static bool is_refused(int rc)
{
	return rc == CH_EINVAL || rc == CH_ENOTFOUND || rc == CH_ETOOBIG;
}

/* False: each has to go alone.  *ret_status: what the store answered to all of them; 0: it was
 * not asked. */
static bool write_items(
	struct ch_api *api, struct ch_scribe_item *const *items, size_t n, int *ret_status)
{
	struct ch_err err = {0};
	int rc;

	*ret_status = 0;
	if (n == 1) {
		write_one(api, items[0]);
		return true;
	}
	rc = write_together(api, items, n, ret_status, &err);
	if (is_refused(rc))
		return false;
	for (size_t i = 0; rc && i < n; i++) {
		items[i]->rc = rc;
		items[i]->err = err;
	}
	return true;
}

/* Of a body as JSON, roughly, and far quicker than making it: what is long in it is base64url,
 * which is written as it is. */
static size_t size_of(json_t *value)
{
	size_t size_b = VALUE_B + json_string_length(value);
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach(value, key, member) size_b += strlen(key) + size_of(member);
	json_array_foreach(value, i, member) size_b += size_of(member);
	return size_b;
}

/* With the lock held.  What is too long for any company goes by itself. */
static size_t take_waiting(struct ch_scribe *scribe, struct ch_scribe_item **items)
{
	size_t size_b = 0;
	size_t n = 0;

	while (scribe->first && n < TOGETHER_MAX &&
		(n == 0 || size_b + scribe->first->size_b <= TOGETHER_B)) {
		items[n] = scribe->first;
		size_b += items[n++]->size_b;
		scribe->first = scribe->first->next;
	}
	if (!scribe->first)
		scribe->last = &scribe->first;
	return n;
}

/* With the lock held, which is given up meanwhile.  An item may be gone once it is done, or its
 * own thread's again. */
static void write_waiting(struct ch_scribe *scribe, struct ch_api *api)
{
	struct ch_scribe_item *items[TOGETHER_MAX];
	size_t n = take_waiting(scribe, items);
	bool written;
	int status;

	scribe->writing = true;
	pthread_mutex_unlock(&scribe->lock);
	written = write_items(api, items, n, &status);
	pthread_mutex_lock(&scribe->lock);
	scribe->writing = false;
	if (status == 404 || status == 405)
		scribe->single_until_ms = ch_mono_ms() + SINGLE_MS;
	for (size_t i = 0; i < n; i++) {
		items[i]->done = written;
		items[i]->alone = !written;
		pthread_cond_signal(&items[i]->changed);
	}
	/* What has gathered meanwhile is written by one of those that wait for it. */
	if (scribe->first)
		pthread_cond_signal(&scribe->first->changed);
}

/* False: the item is still to be written, alone. */
static bool write_in_company(
	struct ch_scribe *scribe, struct ch_api *api, struct ch_scribe_item *item)
{
	pthread_mutex_lock(&scribe->lock);
	item->alone = ch_mono_ms() < scribe->single_until_ms;
	if (!item->alone) {
		*scribe->last = item;
		scribe->last = &item->next;
	}
	while (!item->done && !item->alone) {
		if (scribe->writing)
			pthread_cond_wait(&item->changed, &scribe->lock);
		else
			write_waiting(scribe, api);
	}
	pthread_mutex_unlock(&scribe->lock);
	return item->done;
}

int ch_scribe_write(struct ch_scribe *scribe, struct ch_api *api, struct ch_scribe_item *item)
{
	item->answer = NULL;
	item->done = false;
	item->next = NULL;
	item->err = (struct ch_err){.rc = CH_OK};
	item->size_b = size_of(item->body);
	/* By its own thread: nobody waits for those whose requests the store does not take
	 * together. */
	pthread_cond_init(&item->changed, NULL);
	if (!write_in_company(scribe, api, item))
		write_one(api, item);
	pthread_cond_destroy(&item->changed);
	return item->rc;
}
