#include "agentd/wanted_names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

#define TOLD_SETS 2048u
#define CALL_TIMEOUT_MS 10000
#define ANSWER_MAX_B 4096u

int ch_wanted_names_init(
	struct ch_wanted_names *w, struct ch_api *api, struct ch_agent_figures *figures)
{
	struct ch_told_options options = {.sets = TOLD_SETS, .span_ms = CH_WANTED_AGAIN_MS};

	memset(w, 0, sizeof(*w));
	w->api = api;
	w->figures = figures;
	if (getrandom(&options.seed, sizeof(options.seed), 0) != (ssize_t)sizeof(options.seed))
		return CH_EIO;
	return ch_told_new(&options, &w->told);
}

void ch_wanted_names_done(struct ch_wanted_names *w)
{
	ch_told_free(w->told);
	w->told = NULL;
}

bool ch_wanted_names_is_full(const struct ch_wanted_names *w)
{
	return w->n == CH_WANTED_NAMES_MAX;
}

/* As a store writes it: in no other case, script or form. */
static bool is_name(const char *bytes, size_t len)
{
	static const struct ch_name_rules rules = {.allow_wildcard = false};
	char name[CH_NAME_TEXT_B];

	return len < CH_NAME_TEXT_B &&
	       ch_name_normalize(bytes, len, &rules, name, NULL) == CH_OK &&
	       strlen(name) == len && memcmp(name, bytes, len) == 0;
}

static bool is_known(const struct ch_wanted_names *w, const char *name, size_t len)
{
	for (size_t i = 0; i < w->n; i++)
		if (strlen(w->names[i]) == len && memcmp(w->names[i], name, len) == 0)
			return true;
	return ch_told_has(w->told, name, len, ch_mono_ms());
}

static bool is_resting(const struct ch_wanted_names *w)
{
	return w->resting && ch_mono_ms() < w->next_ms;
}

void ch_wanted_names_take(struct ch_wanted_names *w, const char *bytes, size_t len)
{
	struct ch_agent_figures *f = w->figures;

	if (is_resting(w) || ch_wanted_names_is_full(w)) {
		atomic_fetch_add(&f->wanted_lost, 1);
		return;
	}
	if (!is_name(bytes, len)) {
		atomic_fetch_add(&f->wanted_bad, 1);
		return;
	}
	if (is_known(w, bytes, len)) {
		atomic_fetch_add(&f->wanted_repeated, 1);
		return;
	}
	if (w->n == 0)
		w->first_ms = ch_mono_ms();
	memcpy(w->names[w->n], bytes, len);
	w->names[w->n++][len] = 0;
}

int64_t ch_wanted_names_due_ms(const struct ch_wanted_names *w)
{
	int64_t due_ms = w->first_ms + (ch_wanted_names_is_full(w) ? 0 : CH_WANTED_GATHER_MS);

	if (w->n == 0)
		return INT64_MAX;
	return due_ms > w->next_ms ? due_ms : w->next_ms;
}

static int call(struct ch_wanted_names *w, json_int_t *ret_taken, struct ch_err *err)
{
	struct ch_api_call call = {.method = "POST",
		.path = "/v1/wanted",
		.timeout_ms = CALL_TIMEOUT_MS,
		.max_answer_b = ANSWER_MAX_B};
	json_t *names = json_array();
	int rc;

	for (size_t i = 0; i < w->n; i++)
		(void)json_array_append_new(names, json_string(w->names[i]));
	call.body = json_pack("{s:o}", "names", names);
	if (!call.body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_api_call(w->api, &call, err);
	*ret_taken = json_integer_value(json_object_get(call.answer, "taken"));
	json_decref(call.body);
	json_decref(call.answer);
	return rc;
}

static int64_t rest_of(int rc, const struct ch_err *err)
{
	int64_t asked_ms = err->retry_at_ms ? err->retry_at_ms - ch_now_ms() : 0;

	if (rc == CH_ENOTFOUND)
		return CH_WANTED_NO_ROUTE_MS;
	if (asked_ms > CH_WANTED_REST_MOST_MS)
		return CH_WANTED_REST_MOST_MS;
	return asked_ms > CH_WANTED_REST_MS ? asked_ms : CH_WANTED_REST_MS;
}

static void note_told(struct ch_wanted_names *w, json_int_t taken)
{
	int64_t now_ms = ch_mono_ms();

	for (size_t i = 0; i < w->n; i++)
		ch_told_note(w->told, w->names[i], strlen(w->names[i]), now_ms);
	atomic_fetch_add(&w->figures->wanted_told, w->n);
	if (taken > 0 && (uint64_t)taken <= w->n)
		atomic_fetch_add(&w->figures->wanted_taken, (uint64_t)taken);
}

void ch_wanted_names_send(struct ch_wanted_names *w)
{
	struct ch_err err = {0};
	json_int_t taken = 0;
	int rc = call(w, &taken, &err);

	w->resting = rc != CH_OK;
	if (rc == CH_OK) {
		note_told(w, taken);
		w->next_ms = ch_mono_ms() + CH_WANTED_EVERY_MS;
	} else {
		atomic_fetch_add(&w->figures->wanted_lost, w->n);
		w->next_ms = ch_mono_ms() + rest_of(rc, &err);
		if (rc == CH_ENOTFOUND)
			ch_log_info("the store is too old to be told which names visitors wait "
				    "for: it is asked again in an hour");
		else
			ch_log_debug("not told that visitors wait: %s", err.detail);
	}
	w->n = 0;
}
