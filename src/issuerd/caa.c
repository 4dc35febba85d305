#include "issuerd/caa.h"

#include <string.h>

#include "issuerd/issue_value.h"

/* How far a record lets us: the farthest of all counts for the sentence. */
enum reached { OTHER_CA, OTHER_ACCOUNT, OTHER_METHOD, ALLOWED };

static bool names_ca(const char *value, const struct ch_caa_asker *asker)
{
	struct ch_span domain = ch_issue_domain(value);

	if (domain.len == 0)
		return false;
	for (size_t i = 0; i < asker->n_identities; i++)
		if (ch_span_is_any_case(domain, asker->identities[i]))
			return true;
	return asker->n_identities == 0;
}

static bool lists_method(struct ch_span list, const char *method)
{
	const char *at = list.at;
	const char *end = at + list.len;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		if (ch_span_is(ch_span_trim(at, (size_t)(stop - at)), method))
			return true;
		at = stop + 1;
	}
	return false;
}

static enum reached judge_one(const char *value, const struct ch_caa_asker *asker)
{
	struct ch_span found;

	if (!names_ca(value, asker))
		return OTHER_CA;
	if (ch_issue_parameter(value, "accounturi", &found) && asker->account[0] &&
		!ch_span_is(found, asker->account))
		return OTHER_ACCOUNT;
	if (ch_issue_parameter(value, "validationmethods", &found) &&
		!lists_method(found, asker->method))
		return OTHER_METHOD;
	return ALLOWED;
}

static bool has_tag(const struct ch_dns_answer *records, const char *tag)
{
	for (size_t i = 0; i < records->n; i++)
		if (strcmp(records->texts[i].tag, tag) == 0)
			return true;
	return false;
}

static bool is_known(const char *tag)
{
	static const char *const known[] = {"issue", "issuewild", "issuemail", "issuevmc",
		"iodef", "contactemail", "contactphone"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], tag) == 0)
			return true;
	return false;
}

static int forbid(struct ch_err *err, enum reached reached, const char *owner,
	const struct ch_caa_asker *asker)
{
	const char *ca = asker->n_identities ? asker->identities[0] : "the CA";
	int rc;

	if (reached == OTHER_ACCOUNT)
		rc = ch_err_set(err, CH_EAUTH, "caa-account",
			"The CAA records of %s allow %s, but only for another account: add one "
			"with accounturi=%s.",
			owner, ca, asker->account);
	else if (reached == OTHER_METHOD)
		rc = ch_err_set(err, CH_EAUTH, "caa-method",
			"The CAA records of %s allow %s, but not by %s: add it to their "
			"validationmethods.",
			owner, ca, asker->method);
	else
		rc = ch_err_set(err, CH_EAUTH, "caa-forbids",
			"The CAA records of %s do not allow %s to issue: add 0 %s \"%s\", or "
			"remove them.",
			owner, ca, asker->wildcard ? "issuewild" : "issue", ca);
	err->actor = CH_ACTOR_CUSTOMER;
	return rc;
}

int ch_caa_judge(const struct ch_dns_answer *records, const char *owner,
	const struct ch_caa_asker *asker, struct ch_err *err)
{
	const char *tag =
		asker->wildcard && has_tag(records, "issuewild") ? "issuewild" : "issue";
	enum reached best = OTHER_CA;
	bool restricted = false;

	for (size_t i = 0; i < records->n; i++) {
		const struct ch_dns_text *text = &records->texts[i];

		if (text->critical && !is_known(text->tag)) {
			ch_err_set(err, CH_EAUTH, "caa-critical",
				"%s has a critical CAA record of a kind that no CA knows "
				"(\"%s\"): no certificate can be issued before it is removed.",
				owner, text->tag);
			err->actor = CH_ACTOR_CUSTOMER;
			return CH_EAUTH;
		}
		if (strcmp(text->tag, tag) == 0) {
			enum reached one = text->cut ? ALLOWED : judge_one(text->value, asker);

			restricted = true;
			best = one > best ? one : best;
		}
	}
	/* What was not looked at may allow it: the CA will tell. */
	if (!restricted || best == ALLOWED || records->n_over)
		return CH_OK;
	return forbid(err, best, owner, asker);
}
