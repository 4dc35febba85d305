#include "acme/object.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

static const char *const statuses[] = {"pending", "processing", "ready", "valid", "invalid",
	"revoked", "deactivated", "expired"};

const char *ch_acme_status_str(enum ch_acme_status status)
{
	return (unsigned)status < CH_ARRAY_LEN(statuses) ? statuses[status] : "unknown";
}

static enum ch_acme_status read_status(const json_t *doc)
{
	const char *text = ch_acme_json_str(doc, "status");

	for (size_t i = 0; text && i < CH_ARRAY_LEN(statuses); i++)
		if (strcasecmp(text, statuses[i]) == 0)
			return (enum ch_acme_status)i;
	return CH_ACME_STATUS_UNKNOWN;
}

static int64_t read_time(const json_t *doc, const char *key)
{
	const char *text = ch_acme_json_str(doc, key);
	int64_t at_ms;

	/* A time before 1970 is one that was never set: some CAs send year 1. */
	return text && ch_time_parse(text, &at_ms) == CH_OK && at_ms > 0 ? at_ms : 0;
}

static int bad_url(struct ch_err *err, const char *what)
{
	return ch_err_set(err, CH_EPROTO, "ca-bad-url",
		"The CA's %s is missing, is not https, or is longer than %d bytes.", what,
		CH_ACME_URL_B - 1);
}

static int copy_url(
	const json_t *doc, const char *key, char ret_url[CH_ACME_URL_B], struct ch_err *err)
{
	const char *url = ch_acme_json_str(doc, key);

	if (!ch_acme_url_ok(url))
		return bad_url(err, key);
	strcpy(ret_url, url);
	return CH_OK;
}

/* Without it everything else works. */
static void copy_optional(const json_t *doc, const char *key, char ret_url[CH_ACME_URL_B])
{
	const char *url = ch_acme_json_str(doc, key);

	strcpy(ret_url, ch_acme_url_ok(url) ? url : "");
}

static bool is_host_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-.");

	return len > 0 && len < CH_ACME_IDENTITY_B && !text[len];
}

static void read_identities(const json_t *meta, struct ch_acme_directory *dir)
{
	const json_t *list = json_object_get(meta, "caaIdentities");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *one = json_string_value(json_array_get(list, i));

		if (!one || !is_host_name(one) ||
			dir->n_caa_identities == CH_ACME_IDENTITIES_MAX)
			continue;
		strcpy(dir->caa_identities[dir->n_caa_identities++], one);
	}
}

int ch_acme_directory_read(
	const json_t *doc, struct ch_acme_directory *ret_dir, struct ch_err *err)
{
	struct ch_acme_directory dir = {0};
	const json_t *meta = json_object_get(doc, "meta");
	int rc;

	rc = copy_url(doc, "newNonce", dir.new_nonce, err);
	if (rc == CH_OK)
		rc = copy_url(doc, "newAccount", dir.new_account, err);
	if (rc == CH_OK)
		rc = copy_url(doc, "newOrder", dir.new_order, err);
	if (rc)
		return rc;
	copy_optional(doc, "renewalInfo", dir.renewal_info);
	copy_optional(doc, "revokeCert", dir.revoke_cert);
	copy_optional(doc, "keyChange", dir.key_change);
	dir.eab_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
	read_identities(meta, &dir);
	*ret_dir = dir;
	return CH_OK;
}

static int read_authz_urls(const json_t *doc, struct ch_acme_order *order, struct ch_err *err)
{
	const json_t *list = json_object_get(doc, "authorizations");
	size_t n = json_array_size(list);

	if (n > CH_ACME_NAMES_MAX)
		return ch_err_set(err, CH_EPROTO, "ca-bad-order",
			"The CA's order has %zu authorizations.", n);
	for (size_t i = 0; i < n; i++) {
		order->authz[i] = json_string_value(json_array_get(list, i));
		if (!ch_acme_url_ok(order->authz[i]))
			return bad_url(err, "authorization URL");
	}
	order->n_authz = n;
	return CH_OK;
}

int ch_acme_order_read(const json_t *doc, struct ch_acme_order *ret_order, struct ch_err *err)
{
	struct ch_acme_order order = {.status = read_status(doc)};
	int rc;

	order.expires_ms = read_time(doc, "expires");
	rc = read_authz_urls(doc, &order, err);
	if (rc)
		return rc;
	order.finalize = ch_acme_json_str(doc, "finalize");
	if (order.status != CH_ACME_INVALID && !ch_acme_url_ok(order.finalize))
		return bad_url(err, "finalize URL");
	order.certificate = ch_acme_json_str(doc, "certificate");
	if (order.status == CH_ACME_VALID && !ch_acme_url_ok(order.certificate))
		return bad_url(err, "certificate URL");
	if (json_is_object(json_object_get(doc, "error")))
		order.error = json_object_get(doc, "error");
	*ret_order = order;
	return CH_OK;
}

#define X(name, text, token) {text, token},
static const struct {
	const char *text;
	bool has_token;
} challenge_types[CH_ACME_CHALLENGE_COUNT] = {CH_ACME_CHALLENGE_LIST(X)};
#undef X

const char *ch_acme_challenge_str(enum ch_acme_challenge_type type)
{
	return (unsigned)type < CH_ACME_CHALLENGE_COUNT ? challenge_types[type].text
							: "unknown";
}

/* CH_ACME_CHALLENGE_COUNT: none that we know. */
static size_t find_type(const json_t *chall)
{
	const char *text = ch_acme_json_str(chall, "type");
	size_t type = 0;

	if (!text)
		return CH_ACME_CHALLENGE_COUNT;
	while (type < CH_ACME_CHALLENGE_COUNT && strcmp(text, challenge_types[type].text) != 0)
		type++;
	return type;
}

static void read_challenge(const json_t *chall, struct ch_acme_authz *authz)
{
	size_t type = find_type(chall);
	const char *url = ch_acme_json_str(chall, "url");
	const char *token = ch_acme_json_str(chall, "token");
	const json_t *error = json_object_get(chall, "error");
	const json_t *issuers = json_object_get(chall, "issuer-domain-names");

	if (json_is_object(error) && (!authz->error || read_status(chall) == CH_ACME_INVALID))
		authz->error = error;
	if (type == CH_ACME_CHALLENGE_COUNT || authz->challenges[type].url)
		return;
	if (!challenge_types[type].has_token)
		token = NULL;
	else if (!ch_acme_token_ok(token))
		return;
	if (!ch_acme_url_ok(url))
		return;
	authz->challenges[type].url = url;
	authz->challenges[type].token = token;
	authz->challenges[type].status = read_status(chall);
	if (type == CH_ACME_DNS_PERSIST_01 && json_is_array(issuers))
		authz->challenges[type].issuers = issuers;
}

int ch_acme_authz_read(const json_t *doc, struct ch_acme_authz *ret_authz, struct ch_err *err)
{
	struct ch_acme_authz authz = {.status = read_status(doc)};
	const json_t *list = json_object_get(doc, "challenges");
	size_t n = json_array_size(list);

	authz.expires_ms = read_time(doc, "expires");
	authz.name = ch_acme_json_str(json_object_get(doc, "identifier"), "value");
	if (!authz.name || strlen(authz.name) > 253)
		return ch_err_set(err, CH_EPROTO, "ca-bad-authorization",
			"The CA's authorization names no identifier.");
	if (!ch_acme_json_str(doc, "status"))
		return ch_err_set(err, CH_EPROTO, "ca-bad-authorization",
			"The CA's authorization has no status.");
	for (size_t i = 0; i < n && i < CH_ACME_NAMES_MAX; i++)
		read_challenge(json_array_get(list, i), &authz);
	*ret_authz = authz;
	return CH_OK;
}
