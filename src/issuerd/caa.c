#include "issuerd/caa.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How far a record lets us: the farthest of all counts for the sentence. */
enum reached { OTHER_CA, OTHER_ACCOUNT, OTHER_METHOD, ALLOWED };

static const char *skip_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

static size_t trimmed_len(const char *from, size_t len)
{
	while (len && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	return len;
}

/* The value of a parameter (RFC 8659 section 4.2); false when the record does not have it. */
static bool parameter(const char *value, const char *name, const char **ret_at, size_t *ret_len)
{
	const char *at = value + strcspn(value, ";");

	while (*at == ';') {
		const char *key = skip_blanks(at + 1);
		size_t len = strcspn(key, ";");
		const char *equals = memchr(key, '=', len);

		at = key + len;
		if (!equals || trimmed_len(key, (size_t)(equals - key)) != strlen(name) ||
			strncasecmp(key, name, strlen(name)) != 0)
			continue;
		*ret_at = skip_blanks(equals + 1);
		*ret_len = *ret_at < at ? trimmed_len(*ret_at, (size_t)(at - *ret_at)) : 0;
		return true;
	}
	return false;
}

static bool names_ca(const char *value, const struct ch_caa_asker *asker)
{
	const char *at = skip_blanks(value);
	size_t len = trimmed_len(at, strcspn(at, ";"));

	if (len == 0)
		return false;
	for (size_t i = 0; i < asker->n_identities; i++)
		if (strlen(asker->identities[i]) == len &&
			strncasecmp(asker->identities[i], at, len) == 0)
			return true;
	return asker->n_identities == 0;
}

static bool lists_method(const char *at, size_t len, const char *method)
{
	const char *end = at + len;

	while (at < end) {
		size_t n = 0;

		while (at + n < end && at[n] != ',')
			n++;
		at = skip_blanks(at);
		if (trimmed_len(at, n) == strlen(method) &&
			strncmp(at, method, strlen(method)) == 0)
			return true;
		while (at < end && *at != ',')
			at++;
		at++;
	}
	return false;
}

static enum reached judge_one(const char *value, const struct ch_caa_asker *asker)
{
	const char *at;
	size_t len;

	if (!names_ca(value, asker))
		return OTHER_CA;
	if (parameter(value, "accounturi", &at, &len) && asker->account[0] &&
		(strlen(asker->account) != len || strncmp(asker->account, at, len) != 0))
		return OTHER_ACCOUNT;
	if (parameter(value, "validationmethods", &at, &len) &&
		!lists_method(at, len, asker->method))
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
