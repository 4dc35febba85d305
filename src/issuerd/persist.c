#include "issuerd/persist.h"

#include <stdio.h>
#include <string.h>

#include "issuerd/issue_value.h"

/* 10^17 seconds are three thousand million years. */
#define UNTIL_DIGITS_MAX 17

/* How far a record lets us: the farthest of all counts for the sentence. */
enum reached { NOTHING, OTHER_CA, MALFORMED, OTHER_ACCOUNT, EXPIRED, NO_WILDCARD, ALLOWED };

static const char *base_of(const char *name)
{
	return strncmp(name, "*.", 2) == 0 ? name + 2 : name;
}

int ch_persist_owner(const char *name, char ret_owner[CH_DNS_NAME_B])
{
	const char *base = base_of(name);

	if (strlen(CH_PERSIST_LABEL) + strlen(base) >= CH_DNS_NAME_B)
		return CH_ETOOBIG;
	snprintf(ret_owner, CH_DNS_NAME_B, CH_PERSIST_LABEL "%s", base);
	return CH_OK;
}

void ch_persist_value(const struct ch_caa_asker *asker, char ret_value[CH_PERSIST_VALUE_B])
{
	ret_value[0] = 0;
	if (asker->n_identities && asker->account[0])
		snprintf(ret_value, CH_PERSIST_VALUE_B, "%s; accounturi=%s%s",
			asker->identities[0], asker->account,
			asker->wildcard ? "; policy=wildcard" : "");
}

static bool names_ca(const char *value, const struct ch_caa_asker *asker)
{
	struct ch_span domain = ch_issue_domain(value);

	for (size_t i = 0; i < asker->n_identities; i++)
		if (ch_span_is_any_case(domain, asker->identities[i]))
			return true;
	return asker->n_identities == 0 && domain.len > 0;
}

/* Seconds since 1970, in decimal digits and nothing else. */
static bool read_until(struct ch_span span, int64_t *ret_s)
{
	int64_t s = 0;

	if (span.len == 0 || span.len > UNTIL_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < span.len; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
		s = s * 10 + (span.at[i] - '0');
	}
	*ret_s = s;
	return true;
}

/* A parameter twice: CAs differ in which of them counts, and some refuse the record. */
static enum reached judge_one(
	const char *value, const struct ch_caa_asker *asker, int64_t now_s)
{
	struct ch_span account = {0};
	struct ch_span policy = {0};
	struct ch_span until = {0};
	size_t n_account = ch_issue_parameter(value, "accounturi", &account);
	size_t n_policy = ch_issue_parameter(value, "policy", &policy);
	size_t n_until = ch_issue_parameter(value, "persistuntil", &until);
	int64_t until_s = INT64_MAX;

	if (!names_ca(value, asker))
		return OTHER_CA;
	if (n_account != 1 || account.len == 0 || n_policy > 1 || n_until > 1 ||
		(n_until && !read_until(until, &until_s)))
		return MALFORMED;
	if (asker->account[0] && !ch_span_is(account, asker->account))
		return OTHER_ACCOUNT;
	if (now_s > until_s)
		return EXPIRED;
	if (asker->wildcard && !(n_policy && ch_span_is_any_case(policy, "wildcard")))
		return NO_WILDCARD;
	return ALLOWED;
}

static int refuse(struct ch_err *err, enum reached reached, const char *name,
	const struct ch_caa_asker *asker)
{
	static const struct {
		const char *code;
		const char *what; /* after the record's owner */
	} all[] = {
		[NOTHING] = {"persist-missing", "is not there"},
		[OTHER_CA] = {"persist-issuer", "is for another CA"},
		[MALFORMED] = {"persist-malformed",
			"cannot be read (one accounturi is needed, no parameter may be there "
			"twice, persistUntil is in seconds)"},
		[OTHER_ACCOUNT] = {"persist-account", "is for another account"},
		[EXPIRED] = {"persist-expired", "has expired (persistUntil)"},
		[NO_WILDCARD] = {"persist-wildcard", "lacks policy=wildcard"},
	};
	char value[CH_PERSIST_VALUE_B];
	int rc;

	ch_persist_value(asker, value);
	if (value[0])
		rc = ch_err_set(err, CH_EAUTH, all[reached].code,
			"The TXT record " CH_PERSIST_LABEL "%s %s: publish \"%s\" there.",
			base_of(name), all[reached].what, value);
	else
		rc = ch_err_set(err, CH_EAUTH, all[reached].code,
			"The TXT record " CH_PERSIST_LABEL "%s %s.", base_of(name),
			all[reached].what);
	err->actor = CH_ACTOR_CUSTOMER;
	return rc;
}

int ch_persist_judge(const struct ch_dns_answer *records, const char *name,
	const struct ch_caa_asker *asker, int64_t now_s, struct ch_err *err)
{
	enum reached best = NOTHING;

	for (size_t i = 0; i < records->n; i++) {
		const struct ch_dns_text *text = &records->texts[i];
		enum reached one = text->cut ? MALFORMED : judge_one(text->value, asker, now_s);

		best = one > best ? one : best;
	}
	/* What was not looked at may allow it: the CA will tell. */
	if (best == ALLOWED || records->n_over)
		return CH_OK;
	return refuse(err, best, name, asker);
}

bool ch_persist_issuer_fits(const json_t *issuers, const struct ch_caa_asker *asker)
{
	size_t n = json_array_size(issuers);

	if (n == 0 || asker->n_identities == 0)
		return true;
	for (size_t i = 0; i < n && i < CH_PERSIST_ISSUERS_MAX; i++) {
		const char *one = json_string_value(json_array_get(issuers, i));

		for (size_t k = 0; one && k < asker->n_identities; k++)
			if (ch_span_is_any_case(
				    ch_span_trim(one, strlen(one)), asker->identities[k]))
				return true;
	}
	return false;
}
