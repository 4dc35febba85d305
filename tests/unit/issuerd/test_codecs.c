/* The sealed blob, the notes, leased orders and writes as JSON, and the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "issuerd/config.h"
#include "issuerd/sealed.h"
#include "issuerd/write.h"

static const char *const names[] = {"shop.test", "www.shop.test"};

static const uint8_t csr[] = {0x30, 0x03, 0x01, 0x02, 0x03};

struct sealed_kit {
	struct ch_recipient_key *keys[2];
	struct ch_recipients recipients;
	struct ch_secret *block;
	EVP_PKEY *key;
	struct ch_sign_key *notary;
	uint8_t spki[CH_SHA256_B];
	struct ch_buf blob;
};

static int kit_new(void **state)
{
	struct sealed_kit *kit = calloc(1, sizeof(*kit));

	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &kit->keys[0]), CH_OK);
	assert_int_equal(ch_recipient_key_generate(CH_KEM_P256, &kit->keys[1]), CH_OK);
	kit->recipients.n = 2;
	for (int i = 0; i < 2; i++)
		kit->recipients.list[i] = kit->keys[i]->pub;
	assert_int_equal(ch_key_generate(&kit->key), CH_OK);
	assert_int_equal(ch_key_to_block(kit->key, &kit->block), CH_OK);
	assert_int_equal(ch_key_spki_sha256(kit->key, kit->spki), CH_OK);
	ch_buf_init(&kit->blob, 16384);
	assert_int_equal(ch_sealed_make(&kit->recipients, kit->block, kit->spki, 34, names, 2,
				 &kit->blob),
		CH_OK);
	assert_int_equal(ch_sign_key_from(kit->key, &kit->notary), CH_OK);
	assert_int_equal(ch_sealed_sign(kit->notary, 34, csr, sizeof(csr), &kit->blob), CH_OK);
	*state = kit;
	return 0;
}

static int kit_free(void **state)
{
	struct sealed_kit *kit = *state;

	ch_recipient_key_free(kit->keys[0]);
	ch_recipient_key_free(kit->keys[1]);
	ch_secret_free(kit->block);
	EVP_PKEY_free(kit->key);
	ch_sign_key_free(kit->notary);
	ch_buf_done(&kit->blob);
	free(kit);
	return 0;
}

static int open_copy(struct sealed_kit *kit, const char *name, uint64_t version, int who,
	const struct ch_sealed_view *copy)
{
	struct ch_seal_binding binding = {.name = name,
		.name_len = strlen(name),
		.key_version = version,
		.spki_sha256 = kit->spki};
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	int rc = ch_seal_open_key(kit->keys[who], &binding, copy->enc, copy->enc_len, copy->ct,
		copy->ct_len, &key);

	if (rc == CH_OK)
		assert_int_equal(EVP_PKEY_eq(key, kit->key), 1);
	return rc;
}

static void every_recipient_can_open_its_copy_of_every_name(void **state)
{
	struct sealed_kit *kit = *state;
	struct ch_sealed_set set;

	assert_int_equal(ch_sealed_read(kit->blob.data, kit->blob.len, &set), CH_OK);
	assert_int_equal(set.n_names, 2);
	assert_memory_equal(set.spki_sha256, kit->spki, CH_SHA256_B);
	for (int n = 0; n < 2; n++) {
		const struct ch_sealed_name *found = ch_sealed_find(&set, names[n]);

		assert_non_null(found);
		assert_int_equal(found->n_copies, 2);
		for (int i = 0; i < 2; i++) {
			const struct ch_sealed_view *copy = &found->copies[i];

			assert_memory_equal(copy->recipient_id, kit->keys[i]->pub.id, 8);
			assert_int_equal(open_copy(kit, names[n], 34, i, copy), CH_OK);
			/* Bound to the name, the version and the reader. */
			assert_int_equal(open_copy(kit, names[!n], 34, i, copy), CH_EAUTH);
			assert_int_equal(open_copy(kit, names[n], 35, i, copy), CH_EAUTH);
			assert_int_not_equal(open_copy(kit, names[n], 34, !i, copy), CH_OK);
		}
	}
	assert_null(ch_sealed_find(&set, "shop.tes"));
	assert_null(ch_sealed_find(&set, "other.test"));
}

static void the_blob_has_no_plaintext(void **state)
{
	struct sealed_kit *kit = *state;

	assert_null(memmem(kit->blob.data, kit->blob.len, ch_secret_bytes(kit->block) + 1, 32));
}

static void cut_or_lengthened_blobs_are_refused(void **state)
{
	struct sealed_kit *kit = *state;
	struct ch_sealed_set set;
	CH_AUTO_FREE uint8_t *longer = malloc(kit->blob.len + 1);

	for (size_t len = 0; len < kit->blob.len; len++) {
		/* A copy of its own, so that a sanitizer sees a read past the end. */
		CH_AUTO_FREE uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, kit->blob.data, len);
		assert_int_equal(ch_sealed_read(cut, len, &set), CH_ECORRUPT);
	}
	memcpy(longer, kit->blob.data, kit->blob.len);
	longer[kit->blob.len] = 0;
	assert_int_equal(ch_sealed_read(longer, kit->blob.len + 1, &set), CH_ECORRUPT);
	longer[3] = '1';
	assert_int_equal(ch_sealed_read(longer, kit->blob.len, &set), CH_EUNSUPPORTED);
}

static void altered_bytes_never_read_out_of_bounds(void **state)
{
	struct sealed_kit *kit = *state;
	struct ch_sealed_set set;

	for (size_t i = 0; i < kit->blob.len; i++) {
		CH_AUTO_FREE uint8_t *copy = malloc(kit->blob.len);

		memcpy(copy, kit->blob.data, kit->blob.len);
		copy[i] ^= 0xFF;
		if (ch_sealed_read(copy, kit->blob.len, &set) == CH_OK)
			assert_true(set.n_names == 2);
	}
}

static void a_blob_is_good_for_its_order_and_csr_only(void **state)
{
	struct sealed_kit *kit = *state;
	uint8_t other_csr[sizeof(csr)] = {0x30};
	struct ch_work work = {.id = 34,
		.csr = (uint8_t *)csr,
		.csr_len = sizeof(csr),
		.sealed = kit->blob.data,
		.sealed_len = kit->blob.len};
	struct ch_sign_key *stranger;
	EVP_PKEY *key;
	struct ch_sealed_set set;

	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_OK);
	work.id = 35;
	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_EAUTH);
	work.id = 34;
	work.csr_len--;
	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_EAUTH);
	work.csr_len++;
	work.csr = other_csr;
	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_EAUTH);
	work.csr = (uint8_t *)csr;
	for (size_t i = 4; i < kit->blob.len; i++) {
		kit->blob.data[i] ^= 1;
		assert_int_not_equal(ch_sealed_open(kit->notary, &work, &set), CH_OK);
		kit->blob.data[i] ^= 1;
	}
	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_sign_key_from(key, &stranger), CH_OK);
	assert_int_equal(ch_sealed_open(stranger, &work, &set), CH_EAUTH);
	ch_sign_key_free(stranger);
	EVP_PKEY_free(key);
}

/* Only what comes back from the store is somebody else's word. */
static void a_blob_of_our_own_is_only_read(void **state)
{
	struct sealed_kit *kit = *state;
	struct ch_work work = {.id = 35, /* not the one that was signed */
		.csr = (uint8_t *)csr,
		.csr_len = sizeof(csr),
		.sealed = kit->blob.data,
		.sealed_len = kit->blob.len,
		.made_here = true};
	struct ch_sealed_set set;

	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_OK);
	work.sealed_len--;
	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_ECORRUPT);
	work.sealed_len++;
	work.made_here = false;
	assert_int_equal(ch_sealed_open(kit->notary, &work, &set), CH_EAUTH);
}

static void sealing_without_recipients_is_refused(void **state)
{
	struct sealed_kit *kit = *state;
	CH_AUTO_BUF struct ch_buf out;

	ch_buf_init(&out, 16384);
	kit->recipients.n = 0;
	assert_int_equal(
		ch_sealed_make(&kit->recipients, kit->block, kit->spki, 34, names, 2, &out),
		CH_EINVAL);
}

static void notes_round_trip(void **state)
{
	struct ch_notes notes = {.order = "https://ca/o/1",
		.finalize = "https://ca/f/1",
		.authz = {"https://ca/z/1", "https://ca/z/2"},
		.n_authz = 2,
		.expires_ms = 1800000000000,
		.since_ms = 5,
		.polls = 3,
		.waits = 2,
		.probes = 1,
		.errors_before = 7,
		.edges_since_ms = 1790000000001,
		.waits_for = "feed-frozen",
		.tokens = {"", "aZ09-_"},
		.tokens_until_ms = 1790000000002};
	struct ch_notes back;
	json_auto_t *doc = ch_notes_json(&notes);

	assert_int_equal(ch_notes_read(doc, &back), CH_OK);
	assert_string_equal(back.tokens[0], "");
	assert_string_equal(back.tokens[1], "aZ09-_");
	assert_int_equal(back.tokens_until_ms, 1790000000002);
	assert_string_equal(back.order, notes.order);
	assert_string_equal(back.authz[1], notes.authz[1]);
	assert_int_equal(back.expires_ms, notes.expires_ms);
	assert_int_equal(back.edges_since_ms, 1790000000001);
	assert_string_equal(back.waits_for, "feed-frozen");
	assert_int_equal(back.polls * 100 + back.waits * 10 + back.probes, 321);
	assert_int_equal(back.errors_before, 7);
	assert_int_equal(ch_notes_read(NULL, &back), CH_OK);
	assert_int_equal(back.n_authz, 0);
}

/* It is for the log only. */
static void a_reason_that_is_too_long_is_none(void **state)
{
	char text[256];
	json_auto_t *doc = NULL;
	struct ch_notes notes;

	snprintf(text, sizeof(text),
		"{\"order\":\"\",\"finalize\":\"\",\"waits_for\":\"%0*d\"}", CH_HELD_CODE_B, 0);
	doc = json_loads(text, 0, NULL);
	assert_int_equal(ch_notes_read(doc, &notes), CH_OK);
	assert_string_equal(notes.waits_for, "");
}

static void notes_that_are_not_ours_are_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"order\":\"http://x/\",\"finalize\":\"\"}",
		"{\"order\":\"\",\"finalize\":5}",
		"{\"order\":\"\",\"finalize\":\"\",\"authz\":[\"a\"]}",
		"{\"order\":\"\",\"finalize\":\"\",\"authz\":[1,2,3]}",
		"{\"order\":\"\",\"finalize\":\"\",\"edges_since\":-1}",
		"{\"order\":\"\",\"finalize\":\"\",\"tokens_until\":-1}",
		"{\"order\":\"\",\"finalize\":\"\",\"errors_before\":-1}",
		"{\"order\":\"\",\"finalize\":\"\",\"tokens\":[1]}",
		"{\"order\":\"\",\"finalize\":\"\",\"tokens\":[\"a b\"]}",
		"{\"order\":\"\",\"finalize\":\"\",\"tokens\":[\"a\",\"b\",\"c\"]}",
		"[]",
	};
	struct ch_notes notes;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		json_auto_t *doc = json_loads(bad[i], 0, NULL);

		assert_int_equal(ch_notes_read(doc, &notes), CH_ECORRUPT);
	}
}

#define LEASED                                                                                 \
	"{\"id\":34,\"fence\":7,\"state\":\"sealed\",\"names\":[\"shop.test\","                \
	"\"www.shop.test\"],\"pool\":\"default\",\"attempts\":2,\"renewal\":true,"             \
	"\"failures\":{\"shop.test\":3,\"www.shop.test\":0},\"edges\":{\"ready\":false,"       \
	"\"behind\":[\"edge/default/e1\",\"edge/default/e2\"],\"known\":3,"                    \
	"\"caught_up\":1},\"acme\":null,"                                                      \
	"\"csr\":\"AQID\",\"sealed\":\"BAU\",\"leaf_sha256\":null}"

static void leased_orders_are_read(void **state)
{
	json_auto_t *doc = json_loads(LEASED, 0, NULL);
	CH_AUTO_WORK struct ch_work *work = NULL;
	struct ch_err err;

	assert_int_equal(ch_work_read(doc, 1000, &work, &err), CH_OK);
	assert_int_equal(work->id, 34);
	assert_int_equal(work->state, CH_ORDER_SEALED);
	assert_int_equal(work->n_names, 2);
	assert_string_equal(work->name_list[1], "www.shop.test");
	assert_int_equal(work->failures[0], 3);
	assert_int_equal(work->attempts, 2);
	assert_int_equal(work->csr_len, 3);
	assert_int_equal(work->sealed_len, 2);
	assert_true(work->renewal);
	assert_false(work->edges.ready);
	assert_int_equal(work->edges.known, 3);
	assert_int_equal(work->edges.caught_up, 1);
	assert_string_equal(work->edges.behind, "edge/default/e1, edge/default/e2");
	assert_false(work->has_leaf || work->has_second_leaf);
	assert_false(work->fresh);
}

static void leased_orders_say_what_key_they_are_for(void **state)
{
	json_auto_t *doc = json_loads(LEASED, 0, NULL);
	CH_AUTO_WORK struct ch_work *plain = NULL;
	CH_AUTO_WORK struct ch_work *second = NULL;
	CH_AUTO_WORK struct ch_work *standby = NULL;
	struct ch_err err;

	assert_int_equal(ch_work_read(doc, 1000, &plain, &err), CH_OK);
	assert_int_equal(plain->key, CH_KEY_ECDSA);
	assert_false(plain->second);
	json_object_set_new(doc, "key", json_string("rsa"));
	json_object_set_new(doc, "second", json_true());
	assert_int_equal(ch_work_read(doc, 1000, &second, &err), CH_OK);
	assert_int_equal(second->key, CH_KEY_RSA);
	assert_true(second->second);
	json_object_set_new(doc, "standby", json_true());
	assert_int_equal(ch_work_read(doc, 1000, &standby, &err), CH_OK);
	assert_true(standby->second && standby->standby);
}

static void leased_orders_say_what_is_put_back(void **state)
{
	json_auto_t *doc = json_loads(LEASED, 0, NULL);
	json_t *rollback = json_pack("{s:i, s:s, s:{s:s}, s:{s:i, s:s, s:{s:s}}}", "version", 5,
		"chain", "AQ", "records", "a.test", "AgM", "second", "version", 6, "chain",
		"BA", "records", "a.test", "BQ");
	CH_AUTO_WORK struct ch_work *work = NULL;
	struct ch_work *bad = NULL;
	struct ch_err err;

	json_object_set_new(doc, "names", json_pack("[s]", "a.test"));
	json_object_set_new(doc, "rollback", rollback);
	assert_int_equal(ch_work_read(doc, 1000, &work, &err), CH_OK);
	assert_int_equal(work->old.version, 5);
	assert_int_equal(work->old.records[0].len, 2);
	assert_int_equal(work->old_second.version, 6);
	assert_int_equal(work->old_second.records[0].bytes[0], 5);
	assert_int_equal(work->old_second.chain[0], 4);
	/* Its version would be out of range. */
	json_object_set_new(doc, "id", json_integer(((json_int_t)1 << 53) - 1));
	assert_int_equal(ch_work_read(doc, 1000, &bad, &err), CH_EPROTO);
	json_object_set_new(doc, "id", json_integer(7));
	json_object_set_new(json_object_get(rollback, "second"), "version", json_string("6"));
	assert_int_equal(ch_work_read(doc, 1000, &bad, &err), CH_EPROTO);
}

static void broken_leased_orders_are_refused(void **state)
{
	static const struct {
		const char *key;
		const char *value;
	} bad[] = {{"id", "\"x\""}, {"fence", "null"}, {"state", "\"odd\""}, {"names", "[]"},
		{"names", "[1]"}, {"names", "[\"\"]"}, {"names", "[\"a\\nb.test\"]"},
		{"names", "[\"A.test\"]"}, {"names", "[\"a\",\"b\",\"c\"]"}, {"csr", "\"*\""},
		{"sealed", "5"}, {"id", "0"}, {"id", "-1"}, {"id", "9007199254740992"},
		{"fence", "-1"}, {"fence", "9007199254740992"}, {"attempts", "-1"},
		{"attempts", "9007199254740992"},
		{"acme", "{\"order\":\"\",\"finalize\":\"\",\"since\":-1}"},
		{"acme", "{\"order\":1}"}, {"leaf_sha256", "\"00\""},
		{"second_leaf_sha256", "\"00\""}, {"key", "\"dsa\""}, {"second", "true"}};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		json_auto_t *doc = json_loads(LEASED, 0, NULL);
		struct ch_work *work = NULL;
		struct ch_err err;

		json_object_set_new(
			doc, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
		assert_int_not_equal(ch_work_read(doc, 0, &work, &err), CH_OK);
		assert_null(work);
	}
}

static void writes_say_only_what_changes(void **state)
{
	json_auto_t *row = json_loads(LEASED, 0, NULL);
	CH_AUTO_WORK struct ch_work *work = NULL;
	CH_AUTO_WRITE struct ch_write w;
	struct ch_err err;
	const json_t *list;
	json_t *doc;

	assert_int_equal(ch_work_read(row, 0, &work, &err), CH_OK);
	ch_write_init(&w);
	doc = ch_write_json(&w, work);
	assert_int_equal(json_object_size(doc), 1);
	assert_int_equal(json_integer_value(json_object_get(doc, "fence")), 7);
	json_decref(doc);
	w.has_state = true;
	w.state = CH_ORDER_FAILED;
	w.verdicts[0].failed = true;
	w.verdicts[0].paused = true;
	ch_reason_set(&w.verdicts[0].reason, "x", CH_ACTOR_CA, "%s", "why");
	ch_reason_set(&w.verdicts[1].reason, "y", CH_ACTOR_NOBODY, "bad \xff utf-8");
	doc = ch_write_json(&w, work);
	list = json_object_get(doc, "names");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "state")), "paused");
	assert_true(json_is_object(json_object_get(json_array_get(list, 1), "reason")));
	json_decref(doc);
}

static int read_config(const char *text, struct ch_issuer_config *config, struct ch_err *err)
{
	struct ch_conf *conf = NULL;
	int rc = ch_conf_parse(text, strlen(text), "/etc/x", &conf, err);

	assert_int_equal(rc, CH_OK);
	rc = ch_issuer_config_read(conf, config, err);
	if (rc == CH_OK && config->cas[0].signup.n_contacts)
		assert_string_equal(config->cas[0].signup.contacts[0], "mailto:a@b.test");
	ch_conf_free(conf);
	return rc;
}

static void the_configuration_has_its_defaults(void **state)
{
	CH_AUTO_FREE struct ch_issuer_config *config = calloc(1, sizeof(*config));
	struct ch_err err;

	assert_int_equal(
		read_config("[issuer]\ndirectory = https://ca/dir\n", config, &err), CH_OK);
	assert_int_equal(config->workers, 16);
	assert_int_equal(config->n_ladder, 4);
	assert_int_equal(config->lease_ms, 60000);
	assert_int_equal(config->probe, CH_PROBE_DNS);
	assert_false(config->cas[0].terms_agreed);
	assert_int_equal(read_config("[issuer]\ndirectory = https://ca/dir\n"
				     "probe = [::1]:8443\nretry_ladder = 1s, 2s\n"
				     "contact = mailto:a@b.test, mailto:c@d.test\n",
				 config, &err),
		CH_OK);
	assert_int_equal(config->probe, CH_PROBE_FIXED);
	assert_int_equal(config->probe_port, 8443);
	assert_int_equal(config->n_ladder, 2);
	assert_int_equal(config->cas[0].signup.n_contacts, 2);
}

/* A call is over before its order's lease is. */
static void a_call_ends_before_the_lease(void **state)
{
	static const struct {
		const char *text;
		int64_t timeout_ms; /* 0: refused */
	} of[] = {{"", 30000}, {"lease = 31s\n", 30000}, {"lease = 30s\n", 15000},
		{"lease = 4s\n", 2000}, {"lease = 30s\nca_timeout = 29s\n", 29000},
		{"lease = 30s\nca_timeout = 30s\n", 0}};
	CH_AUTO_FREE struct ch_issuer_config *config = calloc(1, sizeof(*config));
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(of); i++) {
		char text[200];

		snprintf(text, sizeof(text), "[issuer]\ndirectory = https://ca/dir\n%s",
			of[i].text);
		assert_int_equal(
			read_config(text, config, &err), of[i].timeout_ms ? CH_OK : CH_EINVAL);
		if (of[i].timeout_ms)
			assert_int_equal(config->cas[0].timeout_ms, of[i].timeout_ms);
	}
	assert_int_equal(read_config("[issuer]\ndirectory = https://ca/dir\nlease = 10s\n"
				     "fallback = b\n[ca b]\ndirectory = https://b/dir\n",
				 config, &err),
		CH_OK);
	assert_int_equal(config->cas[1].timeout_ms, 5000);
}

static void the_challenge_is_configured(void **state)
{
	static const struct {
		const char *text;
		enum ch_acme_challenge_type want;
		bool self_check;
		enum ch_acme_challenge_type wildcard;
	} good[] = {
		{"", CH_ACME_HTTP_01, true, CH_ACME_DNS_01},
		{"challenge = http-01\n", CH_ACME_HTTP_01, true, CH_ACME_DNS_01},
		{"challenge = tls-alpn-01\n", CH_ACME_TLS_ALPN_01, false, CH_ACME_DNS_01},
		{"challenge = tls-alpn-01\nself_check = off\n", CH_ACME_TLS_ALPN_01, false,
			CH_ACME_DNS_01},
		{"challenge = dns-01\n[dns]\nmethod = hook\nhook = /bin/true\n", CH_ACME_DNS_01,
			true, CH_ACME_DNS_01},
		{"challenge = dns-persist-01\n", CH_ACME_DNS_PERSIST_01, true,
			CH_ACME_DNS_PERSIST_01},
		{"challenge = dns-persist-01\nwildcard_challenge = dns-01\n",
			CH_ACME_DNS_PERSIST_01, true, CH_ACME_DNS_01},
		{"wildcard_challenge = dns-persist-01\n", CH_ACME_HTTP_01, true,
			CH_ACME_DNS_PERSIST_01},
	};
	CH_AUTO_FREE struct ch_issuer_config *config = calloc(1, sizeof(*config));

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		struct ch_err err = {0};
		char text[300];

		snprintf(text, sizeof(text),
			"[issuer]\ndirectory = https://ca/d\naddresses = 192.0.2.1\n%s",
			good[i].text);
		assert_int_equal(read_config(text, config, &err), CH_OK);
		assert_int_equal(config->challenge, good[i].want);
		assert_int_equal(config->self_check, good[i].self_check);
		assert_int_equal(config->wildcard_challenge, good[i].wildcard);
		assert_int_equal(config->preflight_persist,
			good[i].want == CH_ACME_DNS_PERSIST_01 ||
				good[i].wildcard == CH_ACME_DNS_PERSIST_01);
		assert_true(config->preflight);
	}
}

static void mistakes_in_the_configuration_are_refused(void **state)
{
	static const char *const bad[] = {"", "directory = http://ca/dir\n",
		"directory = https://ca/d\nprobe = sometimes\n",
		"directory = https://ca/d\nwildcard_challenge = http-01\n",
		"directory = https://ca/d\nretry_ladder = ,\n",
		"directory = https://ca/d\nretry_ladder = 1 fortnight\n",
		"directory = https://ca/d\neab_kid = x\n",
		"directory = https://ca/d\nworkers = 0\n",
		"directory = https://ca/d\nlog_level = loud\n",
		"directory = https://ca/d\nchallenge = tls-sni-01\n",
		"directory = https://ca/d\nchallenge = dns-01\n",
		/* It would ask over http. */
		"directory = https://ca/d\nchallenge = tls-alpn-01\nself_check = on\n",
		"directory = https://ca/d\ndirectry = x\n"};
	CH_AUTO_FREE struct ch_issuer_config *config = calloc(1, sizeof(*config));

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		struct ch_err err = {0};
		char text[200];

		snprintf(text, sizeof(text), "[issuer]\n%s", bad[i]);
		assert_int_not_equal(read_config(text, config, &err), CH_OK);
		assert_true(err.detail[0] != 0);
	}
}

#define KIT(fn) cmocka_unit_test_setup_teardown(fn, kit_new, kit_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT(every_recipient_can_open_its_copy_of_every_name),
		KIT(the_blob_has_no_plaintext),
		KIT(cut_or_lengthened_blobs_are_refused),
		KIT(altered_bytes_never_read_out_of_bounds),
		KIT(a_blob_is_good_for_its_order_and_csr_only),
		KIT(a_blob_of_our_own_is_only_read),
		KIT(sealing_without_recipients_is_refused),
		cmocka_unit_test(notes_round_trip),
		cmocka_unit_test(a_reason_that_is_too_long_is_none),
		cmocka_unit_test(notes_that_are_not_ours_are_refused),
		cmocka_unit_test(leased_orders_are_read),
		cmocka_unit_test(leased_orders_say_what_key_they_are_for),
		cmocka_unit_test(leased_orders_say_what_is_put_back),
		cmocka_unit_test(broken_leased_orders_are_refused),
		cmocka_unit_test(writes_say_only_what_changes),
		cmocka_unit_test(the_configuration_has_its_defaults),
		cmocka_unit_test(a_call_ends_before_the_lease),
		cmocka_unit_test(the_challenge_is_configured),
		cmocka_unit_test(mistakes_in_the_configuration_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
