#include "net/probe.h"

#include <inttypes.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "crypto/keys.h"

CH_DEFINE_CLEANUP(X509 *, X509_free)
CH_DEFINE_CLEANUP(BIO *, BIO_free_all)

#define HTTPS_PORT 443
#define TIMEOUT_MS 5000

struct expected {
	bool there;
	uint8_t sha256[CH_SHA256_B]; /* of the leaf */
};

struct probe {
	struct ch_client client;
	const char *connect;
	char name[CH_NAME_TEXT_B];
	struct expected current;
	struct expected previous;
	const json_t *certificates; /* borrowed: the store's answer */
	struct ch_table table;
	json_t *results;
	size_t n_wrong;
	size_t n_not_asked;
};

static int read_expected(const json_t *cert, struct expected *ret_expected)
{
	const char *pem = ch_json_str(cert, "pem");
	CH_CLEANUP(BIO_free_all_p) BIO *bio = BIO_new_mem_buf(pem, -1);
	CH_CLEANUP(X509_free_p) X509 *leaf = NULL;
	unsigned len = CH_SHA256_B;

	*ret_expected = (struct expected){.there = false};
	if (!json_is_object(cert))
		return CH_OK;
	leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (!leaf || X509_digest(leaf, EVP_sha256(), ret_expected->sha256, &len) != 1)
		return CH_EPROTO;
	ret_expected->there = true;
	return CH_OK;
}

static bool is_same(const struct expected *expected, const struct ch_probe_result *got)
{
	return expected->there && memcmp(expected->sha256, got->leaf_sha256, CH_SHA256_B) == 0;
}

static const char *judge(
	struct probe *p, int rc, const struct ch_err *err, const struct ch_probe_result *got)
{
	if (rc == CH_OK && is_same(&p->current, got))
		return "ok";
	p->n_wrong++;
	if (rc == CH_OK)
		return is_same(&p->previous, got) ? "old" : "foreign";
	if (strcmp(err->problem, "probe-alert") == 0)
		return "refused";
	return strcmp(err->problem, "probe-tls") == 0 ? "no-tls" : "unreachable";
}

static const char *sentence(
	const struct probe *p, const char *verdict, const struct ch_err *err)
{
	if (strcmp(verdict, "ok") == 0)
		return "the certificate that should be served";
	if (strcmp(verdict, "old") == 0)
		return "the version before: this edge is behind";
	if (strcmp(verdict, "foreign") == 0)
		return p->current.there
			       ? "another certificate: does the name point at the edges?"
			       : "a certificate that the store does not know";
	return err->detail;
}

static void report(struct probe *p, const char *target, const char *verdict, int rc,
	const struct ch_err *err, const struct ch_probe_result *got)
{
	char when[64];
	char expiry[CH_TIME_STR_B];
	int64_t not_after_ms = rc ? 0 : got->not_after_s * CH_SECOND_MS;

	if (p->client.json) {
		json_array_append_new(p->results,
			json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?}", "address", target,
				"verdict", verdict, "detail", sentence(p, verdict, err),
				"serial", rc ? NULL : got->serial, "issuer",
				rc ? NULL : got->issuer, "not_after",
				rc ? NULL : ch_time_str(not_after_ms, expiry)));
		return;
	}
	ch_table_add(&p->table, target);
	ch_table_add(&p->table, verdict);
	ch_table_add(&p->table, rc ? NULL : got->serial);
	ch_table_add(&p->table, ch_when_str(not_after_ms, when));
	ch_table_add(&p->table, sentence(p, verdict, err));
}

static void probe_one(struct probe *p, const struct ch_probe_target *to)
{
	struct ch_probe_result got = {.tls = ""};
	struct ch_err err = {0};
	char target[CH_PROBE_ADDR_B + 10];
	int rc = ch_probe(
		to->address, to->port, p->name, CH_PROBE_OFFER_ALL, TIMEOUT_MS, &got, &err);
	const char *verdict = judge(p, rc, &err, &got);

	snprintf(target, sizeof(target), strchr(to->address, ':') ? "[%.45s]:%u" : "%.45s:%u",
		to->address, to->port);
	report(p, target, verdict, rc, &err, &got);
}

static int probe_all(struct probe *p, struct ch_err *err)
{
	struct ch_probe_targets targets = {.n = 1};
	int rc;

	if (p->connect && ch_probe_target_parse(p->connect, HTTPS_PORT, targets.list[0].address,
				  &targets.list[0].port))
		return ch_err_set(err, CH_EINVAL, "probe-address",
			"--connect takes an address and a port, such as 192.0.2.1:443 or "
			"[2001:db8::1]:443");
	if (!p->connect) {
		rc = ch_probe_resolve(p->name, HTTPS_PORT, &targets, err);
		/* A resolver that fails is not a store that is busy. */
		if (rc == CH_EAGAIN)
			rc = err->rc = CH_EIO;
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < targets.n; i++)
		probe_one(p, &targets.list[i]);
	p->n_not_asked = targets.n_over;
	return CH_OK;
}

static void print_json(struct probe *p)
{
	CH_AUTO_JSON json_t *all =
		json_pack("{s:s, s:o, s:O, s:I, s:b}", "name", p->name, "expected",
			json_is_object(json_object_get(p->certificates, "current"))
				? json_incref(json_object_get(p->certificates, "current"))
				: json_null(),
			"results", p->results, "not_asked", (json_int_t)p->n_not_asked, "ok",
			p->n_wrong == 0 && p->n_not_asked == 0);

	ch_json_print(all);
}

static int conclude(const struct probe *p)
{
	if (p->n_not_asked)
		fprintf(stderr,
			"certherd probe: %zu more addresses were not asked: at most %d are\n",
			p->n_not_asked, CH_PROBE_TARGETS_MAX);
	if (p->n_wrong)
		return CH_EXIT_FAILED;
	return p->n_not_asked ? CH_EXIT_PARTLY : CH_EXIT_OK;
}

static int run(struct probe *p, const char *name)
{
	static const char *const heads[] = {
		"ADDRESS", "RESULT", "SERIAL", "EXPIRES", "VERDICT"};
	const struct ch_name_rules rules = {.allow_wildcard = false};
	CH_AUTO_JSON json_t *answer = NULL;
	CH_AUTO_JSON json_t *results = json_array();
	struct ch_err err;
	int rc = ch_name_normalize(name, strlen(name), &rules, p->name, &err);

	if (rc == CH_OK)
		rc = ch_client_call_name(&p->client, "GET", "/v1/certificates/", name, "", NULL,
			&answer, NULL, &err);
	if (rc)
		return ch_client_fail(&p->client, name, &err);
	p->certificates = answer;
	p->results = results;
	if (read_expected(json_object_get(answer, "current"), &p->current) ||
		read_expected(json_object_get(answer, "previous"), &p->previous)) {
		(void)ch_err_set(&err, CH_EPROTO, "certificate",
			"the store's certificate for it cannot be read");
		return ch_client_fail(&p->client, name, &err);
	}
	ch_table_init(&p->table, heads, CH_ARRAY_LEN(heads));
	rc = probe_all(p, &err);
	if (rc == CH_OK && p->client.json)
		print_json(p);
	else if (rc == CH_OK)
		ch_table_print(&p->table, stdout);
	ch_table_done(&p->table);
	if (rc)
		return ch_client_fail(&p->client, name, &err);
	return conclude(p);
}

int ch_probe_main(int argc, char **argv)
{
	struct probe p = {.connect = NULL};
	CH_CLEANUP(ch_client_done) struct ch_client client = {0};
	const struct ch_opt list[] = {
		{"connect", "ADDRESS:PORT", "asks there instead of at the name's own addresses",
			NULL, &p.connect},
		CH_OPT_JSON(&client), CH_OPT_CONFIG(&client.config)};
	const struct ch_opts opts = {.command = "probe",
		.usage = "NAME [--connect ADDRESS:PORT] [--json]",
		.help = "Asks every public address of a name for its certificate and compares "
			"it "
			"with what should be served.\nExit code 1 when an address serves "
			"something else, or nothing; 3 when there are more\n"
			"addresses than are asked (32).",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	size_t n_args;
	int code = ch_client_begin(&client, &opts, argc, argv, &n_args);

	if (code >= 0)
		return code;
	p.client = client;
	return run(&p, argv[1]);
}
