#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "wire/record.h"

int64_t bench_now_ms;

static struct bench *probed; /* the bench whose order is probed */

static int64_t virtual_clock(void *arg)
{
	return bench_now_ms;
}

static int fake_probe(const struct ch_issuer *issuer, const char *name,
	enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	probed->probes++;
	probed->probe_offer = offer;
	memcpy(probed->probe_leaf, leaf_sha256, CH_SHA256_B);
	if (probed->probe_rc)
		return ch_err_set(err, probed->probe_rc, "probe", "the probe failed");
	if (offer == CH_PROBE_OFFER_RSA && probed->probe_rsa_rc)
		return ch_err_set(err, probed->probe_rsa_rc, "probe", "the probe failed");
	if (probed->probe_note)
		return ch_err_set(err, CH_OK, "probe-partly", "%s", probed->probe_note);
	return CH_OK;
}

static void make_files(struct bench *b)
{
	static const char *const names[] = {
		"account.key", "signing.key", "recipients", "account.json"};
	struct ch_recipient_key *recipient = NULL;
	char text[CH_RECIPIENT_TEXT_B];
	EVP_PKEY *key = NULL;
	struct ch_err err;

	strcpy(b->dir, "/tmp/certherd-issuer-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		snprintf(b->path[i], sizeof(b->path[i]), "%s/%s", b->dir, names[i]);
	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_create_pem(b->path[0], key, &err), CH_OK);
	EVP_PKEY_free(key);
	assert_int_equal(ch_sign_key_create(b->path[1], &err), CH_OK);
	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &recipient), CH_OK);
	ch_recipient_print(&recipient->pub, text);
	ch_recipient_key_free(recipient);
	strcat(text, "\n");
	assert_int_equal(ch_file_create(b->path[2], text, strlen(text), 0600, &err), CH_OK);
}

static void configure(struct bench *b)
{
	struct ch_issuer_config *c = &b->config;

	c->wildcard_challenge = CH_ACME_DNS_01;
	c->n_cas = 1;
	c->cas[0].name = CH_CA_MAIN;
	c->cas[0].directory = FAKE_URL "/dir";
	c->cas[0].directory_ca = "system";
	c->cas[0].roots = "any";
	c->cas[0].terms_agreed = true;
	c->cas[0].eab_hmac_file = "";
	c->cas[0].account_key = b->path[0];
	c->signing_key = b->path[1];
	c->recipients = b->path[2];
	c->cas[0].account_state = b->path[3];
	c->ladder_ms[0] = CH_MINUTE_MS;
	c->ladder_ms[1] = 10 * CH_MINUTE_MS;
	c->ladder_ms[2] = CH_DAY_MS;
	c->n_ladder = 3;
	c->preflight_ladder_ms[0] = CH_MINUTE_MS;
	c->n_preflight_ladder = 1;
	c->retry_jitter_percent = 20;
	c->poll_interval_ms = 500;
	c->renew_left_percent = 33;
	c->renew_jitter_percent = 5;
	c->step_tries = 4;
	c->rsa_bits = 2048;
	c->probe = CH_PROBE_DNS;
	c->probe_tries = 3;
	c->edge_wait_ms = 15 * CH_MINUTE_MS;
}

void bench_add_ca(struct bench *b)
{
	struct ch_ca_config *ca = &b->config.cas[1];
	EVP_PKEY *key = NULL;
	struct ch_err err;

	fake_ca_init(&b->other);
	b->has_other = true;
	*ca = b->config.cas[0];
	ca->name = "other";
	snprintf(b->path[4], sizeof(b->path[4]), "%s/other.key", b->dir);
	snprintf(b->path[5], sizeof(b->path[5]), "%s/other.json", b->dir);
	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_create_pem(b->path[4], key, &err), CH_OK);
	EVP_PKEY_free(key);
	ca->account_key = b->path[4];
	ca->account_state = b->path[5];
	b->config.n_cas = 2;
	bench_restart(b);
}

void bench_restart(struct bench *b)
{
	struct ch_err err;

	ch_issuer_free(b->issuer);
	assert_int_equal(ch_issuer_open(&b->config, &b->issuer, &err), CH_OK);
	b->issuer->probe = fake_probe;
	b->row.fresh = false;
}

struct bench *bench_new(const char *name, const char *www)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	probed = b;
	ch_log_init("issuer", CH_LOG_ERROR);
	bench_now_ms = INT64_C(1800000000000);
	ch_clock_set(virtual_clock, NULL);
	fake_ca_init(&b->ca);
	make_files(b);
	configure(b);
	bench_restart(b);
	b->row.id = 34;
	b->row.fence = 7;
	b->row.edges.ready = true;
	b->row.edges.known = 1;
	b->row.n_names = www ? 2 : 1;
	strcpy(b->row.names[0], name);
	if (www)
		strcpy(b->row.names[1], www);
	b->row.name_list[0] = b->row.names[0];
	b->row.name_list[1] = b->row.names[1];
	ch_write_init(&b->last);
	return b;
}

void bench_free(struct bench *b)
{
	for (size_t i = 0; i < 6; i++)
		if (b->path[i][0])
			(void)remove(b->path[i]);
	assert_int_equal(rmdir(b->dir), 0);
	ch_issuer_free(b->issuer);
	fake_ca_done(&b->ca);
	if (b->has_other)
		fake_ca_done(&b->other);
	ch_write_done(&b->last);
	json_decref(b->published);
	free(b->row.csr);
	free(b->row.sealed);
	free(b);
	ch_clock_set(NULL, NULL);
}

static const struct ch_ca *bench_ca(struct bench *b)
{
	const struct ch_ca *ca = ch_issuer_ca_paced(b->issuer, b->row.account);

	return ca ? ca : &b->issuer->cas[0];
}

static void check_record(
	struct bench *b, const char *text, const uint8_t *leaf, size_t leaf_len)
{
	CH_AUTO_FREE uint8_t *bytes = NULL;
	struct ch_record record;
	size_t len;

	assert_int_equal(ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &bytes, &len), CH_OK);
	assert_int_equal(ch_record_decode(bytes, len, &record), CH_OK);
	assert_int_equal(record.kind, b->row.second ? CH_RECORD_SECOND : CH_RECORD_CERT);
	assert_true(ch_record_has_cert(&record));
	assert_int_equal(record.version, b->row.id);
	assert_int_equal(
		record.key_version, b->row.old.version ? b->row.old.version : b->row.id);
	assert_int_equal(record.leaf_len, leaf_len);
	assert_memory_equal(record.leaf, leaf, leaf_len);
	assert_int_equal(record.n_sealed, b->issuer->recipients.n);
	assert_int_equal(record.account_hint, bench_ca(b)->account_hint);
}

/* As the store: checks, takes the leaf, and the order is confirming. */
static void publish(struct bench *b, const struct ch_write *w)
{
	const char *leaf_text = json_string_value(json_object_get(w->publish, "leaf"));
	const json_t *records = json_object_get(w->publish, "records");
	CH_AUTO_FREE uint8_t *leaf = NULL;
	size_t len;

	assert_int_equal(ch_b64u_decode_alloc(leaf_text, 8192, &leaf, &len), CH_OK);
	assert_int_equal(json_array_size(records), b->row.n_names);
	for (size_t i = 0; i < b->row.n_names; i++)
		check_record(b, json_string_value(json_array_get(records, i)), leaf, len);
	assert_true(b->row.old.version ? b->row.state == CH_ORDER_NEW
				       : b->row.state == CH_ORDER_SEALED ||
						 b->row.state == CH_ORDER_FINALIZING);
	b->row.state = CH_ORDER_CONFIRMING;
	b->row.has_leaf = true;
	assert_int_equal(ch_sha256(leaf, len, b->row.leaf_sha256), CH_OK);
	b->row.fresh = false;
	b->publications++;
	json_decref(b->published);
	b->published = json_incref(w->publish);
}

static void store(struct bench *b, struct ch_write *w)
{
	json_auto_t *body = ch_write_json(w, &b->row);

	assert_non_null(body);
	if (w->publish) {
		publish(b, w);
		return;
	}
	if (w->has_state && w->state == CH_ORDER_NEW) {
		memset(&b->row.notes, 0, sizeof(b->row.notes));
		free(b->row.csr);
		free(b->row.sealed);
		b->row.csr = b->row.sealed = NULL;
	} else if (w->has_state) {
		/* "a state never goes back" */
		assert_true(w->state >= b->row.state);
	}
	assert_true(!w->has_state || w->state != CH_ORDER_SEALED || (w->csr && w->sealed));
	ch_write_apply(w, &b->row);
	b->row.fresh = w->go_on;
	if (w->next_at_ms > bench_now_ms)
		bench_now_ms = w->next_at_ms;
}

void bench_step(struct bench *b, bool write)
{
	struct ch_http *cas[] = {&b->ca.http, &b->other.http};
	struct ch_step step = {
		.issuer = b->issuer, .https = cas, .work = &b->row, .out = &b->last};

	ch_write_done(&b->last);
	ch_step_run(&step);
	if (write)
		store(b, &b->last);
	else
		bench_restart(b);
}

void bench_run_to(struct bench *b, enum ch_order_state state)
{
	for (int i = 0; i < 200 && b->row.state != state; i++) {
		assert_true(b->row.state < CH_ORDER_DONE);
		bench_step(b, true);
	}
	assert_int_equal(b->row.state, state);
}
