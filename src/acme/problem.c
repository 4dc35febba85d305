#include "acme/problem.h"

#include <string.h>
#include <strings.h>

#include "acme/json.h"
#include "base/mem.h"

/* RFC 8555 section 6.7, RFC 9773 section 5, and draft profiles.  The words of the CA follow the
 * sentence.  name_fate: what it means in an answer to newOrder or finalize. */
static const struct {
	const char *type;
	const char *code;
	enum ch_acme_fate fate;
	enum ch_actor actor;
	const char *sentence;
} types[] = {
	{"dns", "dns-problem", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA could not look the name up: check its DNS records."},
	{"connection", "connection-failed", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA could not reach the name's address: point its DNS records at the "
		"platform."},
	{"unauthorized", "wrong-answer", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"Another server answered for the name: point its DNS records at the platform."},
	{"incorrectResponse", "wrong-answer", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"Another server answered for the name: point its DNS records at the platform."},
	{"caa", "caa-forbids", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"CAA records of the name or its parents forbid this CA, or could not be read."},
	{"tls", "tls-failed", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA's TLS connection to the name failed during validation."},
	{"compound", "several-problems", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA found several problems."},
	{"rejectedIdentifier", "name-refused", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA does not issue for this name."},
	{"unsupportedIdentifier", "name-refused", CH_ACME_NAME, CH_ACTOR_CUSTOMER,
		"The CA does not issue for this kind of name."},
	{"rateLimited", "rate-limited", CH_ACME_LIMITED, CH_ACTOR_CA,
		"A rate limit of the CA is reached."},
	{"serverInternal", "ca-internal", CH_ACME_LATER, CH_ACTOR_CA,
		"The CA has an internal error."},
	{"orderNotReady", "order-not-ready", CH_ACME_NOT_READY, CH_ACTOR_CA,
		"The CA is not ready to finalize the order."},
	{"badNonce", "bad-nonce", CH_ACME_SIGN_AGAIN, CH_ACTOR_CA,
		"The CA refused nonce after nonce."},
	{"accountDoesNotExist", "account-unknown", CH_ACME_NO_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA does not know the ACME account."},
	{"externalAccountRequired", "account-binding-required", CH_ACME_ACCOUNT,
		CH_ACTOR_PLATFORM,
		"The CA demands an external account binding: set eab_kid and eab_hmac_file."},
	{"userActionRequired", "account-action-required", CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA wants a person to act, for example to agree to new terms."},
	{"invalidContact", "account-contact", CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA refuses the contact of the ACME account."},
	{"unsupportedContact", "account-contact", CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA does not take this kind of contact."},
	{"badPublicKey", "account-key", CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA refuses the account key."},
	{"badSignatureAlgorithm", "account-key", CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
		"The CA does not take signatures with ES256."},
	{"badCSR", "csr-refused", CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
		"The CA refuses the certificate signing request."},
	{"malformed", "request-refused", CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
		"The CA calls the request malformed."},
	{"invalidProfile", "profile-refused", CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
		"The CA refuses the certificate profile."},
	{"alreadyReplaced", "already-replaced", CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
		"The CA says the certificate was replaced already."},
	{"conflict", "order-conflict", CH_ACME_LATER, CH_ACTOR_CA,
		"Another order stands in the way at the CA."},
	{"alreadyRevoked", "already-revoked", CH_ACME_REFUSED, CH_ACTOR_NOBODY,
		"The certificate is revoked already."},
	{"badRevocationReason", "revocation-reason", CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
		"The CA refuses the reason of the revocation."},
};

const char *ch_acme_problem_type(const json_t *doc)
{
	/* The second is what CAs sent before the RFC; some still do. */
	static const char *const prefixes[] = {
		"urn:ietf:params:acme:error:", "urn:acme:error:"};
	const char *type = ch_acme_json_str(doc, "type");

	for (size_t i = 0; type && i < CH_ARRAY_LEN(prefixes); i++)
		if (strncasecmp(type, prefixes[i], strlen(prefixes[i])) == 0)
			return type + strlen(prefixes[i]);
	return "";
}

/* The sentence, then the CA's words, within the bounds of err->detail. */
static void set_detail(
	struct ch_err *err, const char *code, const char *sentence, const json_t *doc)
{
	char words[320];
	char type[80];

	ch_acme_text(ch_acme_json_str(doc, "detail"), words, sizeof(words));
	ch_acme_text(ch_acme_json_str(doc, "type"), type, sizeof(type));
	if (words[0])
		ch_err_set(err, CH_EPROTO, code, "%s The CA says: %s", sentence, words);
	else if (type[0])
		ch_err_set(err, CH_EPROTO, code, "%s The CA's error is %s.", sentence, type);
	else
		ch_err_set(err, CH_EPROTO, code, "%s", sentence);
}

static enum ch_acme_fate read_unknown(
	const json_t *doc, enum ch_acme_where where, struct ch_err *ret_err)
{
	char sentence[160];
	char type[80];

	ch_acme_text(ch_acme_json_str(doc, "type"), type, sizeof(type));
	snprintf(sentence, sizeof(sentence), "%s%s%s%s.",
		where == CH_ACME_IN_VALIDATION ? "The CA could not validate the name"
					       : "The CA refused the request",
		type[0] ? " (" : "", type, type[0] ? ")" : "");
	if (where == CH_ACME_IN_VALIDATION) {
		set_detail(ret_err, "validation-failed", sentence, doc);
		ret_err->actor = CH_ACTOR_CUSTOMER;
		return CH_ACME_NAME;
	}
	set_detail(ret_err, "ca-refused", sentence, doc);
	ret_err->actor = CH_ACTOR_CA;
	return CH_ACME_LATER;
}

enum ch_acme_fate ch_acme_problem_read(
	const json_t *doc, enum ch_acme_where where, struct ch_err *ret_err)
{
	const char *type = ch_acme_problem_type(doc);

	memset(ret_err, 0, sizeof(*ret_err));
	if (where == CH_ACME_IN_ANSWER && strcasecmp(type, "unauthorized") == 0) {
		set_detail(ret_err, "account-unauthorized",
			"The CA does not allow the ACME account to do this.", doc);
		ret_err->actor = CH_ACTOR_PLATFORM;
		return CH_ACME_ACCOUNT;
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(types); i++) {
		if (strcasecmp(type, types[i].type) != 0)
			continue;
		set_detail(ret_err, types[i].code, types[i].sentence, doc);
		ret_err->actor = types[i].actor;
		return types[i].fate;
	}
	return read_unknown(doc, where, ret_err);
}

enum ch_acme_limit ch_acme_problem_limit(const json_t *doc)
{
	/* As Let's Encrypt words them, whose server other CAs use too; the first that is found.
	 */
	static const struct {
		const char *words;
		enum ch_acme_limit limit;
	} kinds[] = {
		{"exact set of", CH_ACME_LIMIT_SET},
		{"already issued for", CH_ACME_LIMIT_DOMAIN},
		{"failed authorizations", CH_ACME_LIMIT_NAME},
		{"new orders", CH_ACME_LIMIT_ACCOUNT},
	};
	const char *detail = ch_acme_json_str(doc, "detail");

	for (size_t i = 0; detail && i < CH_ARRAY_LEN(kinds); i++)
		if (strcasestr(detail, kinds[i].words))
			return kinds[i].limit;
	return CH_ACME_LIMIT_UNKNOWN;
}

static const json_t *subproblem(const json_t *doc, size_t i, const char **ret_name)
{
	const json_t *sub = json_array_get(json_object_get(doc, "subproblems"), i);

	*ret_name = ch_acme_json_str(json_object_get(sub, "identifier"), "value");
	return sub;
}

int ch_acme_problem_for_name(const json_t *doc, enum ch_acme_where where, const char *name,
	enum ch_acme_fate *ret_fate, struct ch_err *ret_err)
{
	size_t n = json_array_size(json_object_get(doc, "subproblems"));

	for (size_t i = 0; i < n; i++) {
		const char *value;
		const json_t *sub = subproblem(doc, i, &value);

		if (!value || strcasecmp(value, name) != 0)
			continue;
		*ret_fate = ch_acme_problem_read(sub, where, ret_err);
		return CH_OK;
	}
	return CH_ENOTFOUND;
}

int ch_acme_problem_has_names(const json_t *doc)
{
	size_t n = json_array_size(json_object_get(doc, "subproblems"));
	const char *value;

	for (size_t i = 0; i < n; i++) {
		subproblem(doc, i, &value);
		if (value)
			return 1;
	}
	return 0;
}
