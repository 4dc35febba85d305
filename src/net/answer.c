#include "net/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

const char *ch_json_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t ch_json_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int64_t ch_json_time(const json_t *object, const char *key)
{
	int64_t at_ms;

	return ch_time_parse(ch_json_str(object, key), &at_ms) ? 0 : at_ms;
}

const char *ch_when_str(int64_t at_ms, char ret_text[64])
{
	char span[CH_TIME_STR_B];
	int64_t left_ms = at_ms - ch_now_ms();

	if (at_ms == 0)
		snprintf(ret_text, 64, "-");
	else if (left_ms > -CH_SECOND_MS && left_ms < CH_SECOND_MS)
		snprintf(ret_text, 64, "now");
	else if (left_ms > 0)
		snprintf(ret_text, 64, "in %s", ch_duration_str(left_ms, span));
	else
		snprintf(ret_text, 64, "%s ago", ch_duration_str(-left_ms, span));
	return ret_text;
}

bool ch_answer_next(const json_t *domain, int64_t *ret_at_ms)
{
	const json_t *expected = json_object_get(domain, "expected");
	const char *code = ch_json_str(json_object_get(domain, "reason"), "code");

	*ret_at_ms = ch_json_time(json_is_object(expected) ? expected : domain,
		json_is_object(expected) ? "at" : "next_at");
	if (json_is_object(expected))
		return *ret_at_ms != 0;
	/* A renewal with this reason may wait for the CA's own time, as next_at says. */
	return strcmp(code, "ca-limit-account") != 0 ||
	       json_is_object(json_object_get(domain, "certificate"));
}

const char *ch_answer_limit_str(const char *limit)
{
	return strcmp(limit, "account") == 0  ? "the account"
	       : strcmp(limit, "domain") == 0 ? "the registered domain"
					      : "the set of names";
}

const char *ch_answer_canary_stuck(const char *state)
{
	if (strcmp(state, "silent") == 0)
		return "it does not report";
	return strcmp(state, "trouble") == 0 ? "it reports trouble" : NULL;
}

bool ch_answer_issuer_silent(int64_t heard_ms, int64_t now_ms)
{
	return heard_ms < now_ms - 15 * CH_MINUTE_MS;
}

/* The numbers of "1.20.3"; those that are missing are 0.  False: it begins with none. */
static bool read_version(const char *text, unsigned ret_numbers[3])
{
	memset(ret_numbers, 0, 3 * sizeof(*ret_numbers));
	return sscanf(text, "%4u.%4u.%4u", &ret_numbers[0], &ret_numbers[1], &ret_numbers[2]) >
	       0;
}

const char *ch_answer_beside_store(const char *software, const char *store_version)
{
	static const char program[] = "certherd/";
	unsigned ours[3];
	unsigned stores[3];

	if (strncmp(software, program, sizeof(program) - 1) != 0 || !*store_version ||
		strcmp(software + sizeof(program) - 1, store_version) == 0)
		return NULL;
	if (read_version(software + sizeof(program) - 1, ours) &&
		read_version(store_version, stores))
		for (size_t i = 0; i < 3; i++)
			if (ours[i] != stores[i])
				return ours[i] < stores[i] ? "older than the store"
							   : "newer than the store";
	return "not the store's version";
}

const char *ch_answer_caa_owner(const char *name)
{
	return strncmp(name, "*.", 2) == 0 ? name + 2 : name;
}

const char *ch_answer_advice(const struct ch_err *err)
{
	switch (err->rc) {
	case CH_ENETWORK:
	case CH_ETIMEOUT:
		return "Is `certherd up` (or `certherd store`) running, and is `store` in "
		       "[cli] "
		       "its address?";
	case CH_EAGAIN:
		/* It says by itself what to do. */
		if (strcmp(err->problem, "store-full") == 0)
			return NULL;
		return "The store is busy: try again in a moment.";
	case CH_EAUTH:
		return strcmp(err->problem, "http-tls-server") == 0
			       ? "Is `identity_ca` in [cli] the CA of that store?"
			       : "Which identity is used is said by `identity_cert` in [cli].";
	}
	return NULL;
}
