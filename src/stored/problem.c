#include "stored/problem.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct ch_problem_kind problems[] = {
	{"not-authenticated", 401, "The client certificate is missing or not accepted"},
	{"not-allowed", 403, "This identity may not do that"},
	{"no-such-route", 404, "There is nothing at this path"},
	{"method-not-allowed", 405, "This path does not take this method"},
	{"body-too-large", 413, "The request body is too large"},
	{"uri-too-long", 414, "The request's path and query are too long"},
	{"content-type", 415, "The request body must be application/json"},
	{"body-not-json", 400, "The request body is not JSON"},
	{"json-too-deep", 400, "The JSON is nested too deep"},
	{"unknown-field", 400, "A field is not known here"},
	{"missing-field", 400, "A field is missing"},
	{"bad-field", 400, "A field has a wrong value"},
	{"bad-path", 400, "The path is not encoded correctly"},
	{"bad-query", 400, "The query has a wrong parameter"},
	{"bad-cursor", 400, "The cursor is not one of this store"},
	{"bad-record", 400, "The record cannot be published"},
	{"batch-too-large", 400, "The batch has too many items"},
	{"domain-not-found", 404, "This domain is not registered"},
	{"order-not-found", 404, "There is no such order"},
	{"edge-not-found", 404, "There is no such edge"},
	{"pool-not-found", 404, "There is no such pool"},
	{"domain-paused", 409, "The domain is paused"},
	{"claim-needed", 409, "Another tenant holds or held this domain"},
	{"version-not-found", 404, "This version of the certificate is not kept"},
	{"nothing-to-roll-back", 409, "There is no certificate before the live one"},
	{"standby-not-ready", 409, "There is no standby certificate that could be put live"},
	{"standby-half-ready", 409, "One of two certificates has no standby that is ready"},
	{"ca-needed", 409, "It must be said which CA has failed"},
	{"ca-unknown", 409, "No issuer has a CA of this name"},
	{"ca-not-found", 404, "No issuer has told of this CA"},
	{"no-signers", 409, "The store does not know whose records to take back"},
	{"not-restored", 409, "The database was not restored lately"},
	{"rolled-back", 409, "The certificate before is live already"},
	{"cert-expired", 409, "The certificate before has expired"},
	{"order-open", 409, "An order is under way"},
	{"fence-lost", 409, "The lease is over or somebody else's"},
	{"order-state", 409, "The order's state does not allow that"},
	{"tickets-changed", 409, "The pool has other ticket keys by now"},
	{"too-many-polls", 429, "Too many requests are waiting"},
	{"too-many-connections", 429, "This identity has too many connections"},
	{"store-busy", 503, "The store is busy"},
	{"store-full", 503, "The disk of the store's database is full"},
	{"stopping", 503, "The store is stopping"},
	{"internal", 500, "Something failed inside the store"},
};

static const struct ch_problem_kind *find(const char *code)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(problems); i++)
		if (strcmp(problems[i].code, code) == 0)
			return &problems[i];
	return NULL;
}

int ch_problem_kind(size_t i, struct ch_problem_kind *ret_kind)
{
	if (i >= CH_ARRAY_LEN(problems))
		return CH_ENOTFOUND;
	*ret_kind = problems[i];
	return CH_OK;
}

/* The codes of name validation belong to wire/name.h. */
static const struct ch_problem_kind bad_name = {"", 400, "The domain name cannot be used"};

static const struct ch_problem_kind *judge(const struct ch_err *err)
{
	const struct ch_problem_kind *known = find(err->problem);

	if (known)
		return known;
	if (strncmp(err->problem, "name-", 5) == 0 || strncmp(err->problem, "label-", 6) == 0)
		return &bad_name;
	if (err->rc == CH_EFULL)
		return find("store-full");
	if (err->rc == CH_EAGAIN || err->rc == CH_ETIMEOUT)
		return find("store-busy");
	return find("internal");
}

json_t *ch_problem_text_json(const char *text)
{
	json_t *value = json_string(text);
	char plain[sizeof(((struct ch_err *)0)->detail)];
	size_t len = 0;

	if (value)
		return value;
	for (; text[len] && len < sizeof(plain) - 1; len++)
		plain[len] = (char)((unsigned char)text[len] < 0x80 ? text[len] : '?');
	return json_stringn(plain, len);
}

int ch_problem_status(const struct ch_err *err)
{
	return judge(err)->status;
}

json_t *ch_problem_json(const struct ch_err *err, const char *field)
{
	const struct ch_problem_kind *p = judge(err);
	const char *code = p->code[0] ? p->code : err->problem;
	/* What failed inside is for the log, not for the answer. */
	const char *detail = p->status == 500 ? "See the log of the store." : err->detail;
	char type[128];
	json_t *doc;

	snprintf(type, sizeof(type), "urn:certherd:error:%s", code);
	doc = json_pack("{s:s, s:s, s:i, s:o, s:s}", "type", type, "title", p->title, "status",
		p->status, "detail", ch_problem_text_json(detail), "code", code);
	if (doc && field && *field &&
		json_object_set_new(doc, "field", ch_problem_text_json(field))) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}
