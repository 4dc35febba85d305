/* Makes replicas for tests and benchmarks, without a store, an issuer or a CA.
 *
 *   mkreplica --make-key x25519|p256 SECRET PUBLIC
 *   mkreplica --pki DIR --recipients FILE [--group GID] [--map BYTES] [--shape public]
 *             [--jobs N] REPLICA OPERATION…
 *
 * --pki DIR holds ca.pem, intermediate.pem, chain.pem and their keys, and the key that signs
 * records; what is missing is made.  One call is one transaction (but for `publish`):
 *
 *   name:NAME:VERSION[:hint=16 hex digits]
 *   cert:NAME:VERSION[:OPTION…]        a certificate for NAME, its key sealed
 *   second:NAME:VERSION[:OPTION…]      the same as the second one of NAME
 *   no-second:NAME:VERSION             that there is none any more
 *   gone:NAME:VERSION                  a tombstone
 *   policy:NAME:VERSION[:tenant=…][:upstream=…][:hsts=…][:redirect=…]
 *   challenge:NAME:VERSION[:hint=…][:token=…[:until=SECONDS]]   from now; signed with a token
 *   tickets:POOL:VERSION:KEYS[:damaged]       ticket keys: see mktickets.h
 *   many:SUFFIX:COUNT:VERSION          certificates for n<number>.SUFFIX
 *   record:NAME:VERSION:FILE           the record of such a certificate into a file instead
 *   pem:NAME:FILE                      such a certificate, its chain and its key into a file
 *   rebuild | publish                  begin a generation, make it live (the first of a folder
 *                                      goes live by itself)
 *
 * --shape public (else small): certificates as large as a public CA's (shape.h), an
 * intermediate with P-384 under a root with RSA-4096.
 *
 * Options of cert: names=a+b (SANs), days=N (negative: expired), hint=…, sealed-for=NAME (the
 * copy is bound to that name), other-key (of no certificate), no-chain, lost-chain (its chain
 * is not stored), unsigned (its signature is zeroes), cert=PEM+KEYPEM (given files). */
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "edge/replica.h"
#include "mkcert.h"
#include "mktickets.h"
#include "wire/record.h"

#define NAME_B 96 /* of `many` */
#define PART 1000
#define JOBS_MAX 64

#define DAY_S 86400L

static void begin(struct tool *tool)
{
	if (tool->in_txn)
		return;
	need(ch_replica_apply_begin(tool->writer), "begin");
	tool->in_txn = true;
}

static void commit(struct tool *tool)
{
	struct ch_err err = {.rc = 0};

	if (!tool->in_txn)
		return;
	tool->cursor.valid = true;
	tool->cursor.base = tool->cursor.seq;
	if (ch_replica_apply_commit(tool->writer, &tool->cursor, &err))
		die("commit", err.detail);
	tool->in_txn = false;
}

static void put(struct tool *tool, const struct ch_record *record, const struct ch_buf *bytes)
{
	enum ch_apply_effect effect;

	begin(tool);
	need(ch_replica_put(tool->writer, record, bytes->data, bytes->len, &effect), "put");
	if (effect == CH_APPLY_STALE && record->kind != CH_RECORD_TOMBSTONE)
		die("this version or a higher one is there", NULL);
	if (tool->cursor.seq < record->version)
		tool->cursor.seq = record->version;
}

static void put_plain(struct tool *tool, enum ch_record_kind kind, const struct wish *wish)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record = {.kind = kind,
		.version = wish->version,
		.account_hint = wish->hint,
		.name = wish->name,
		.name_len = strlen(wish->name),
		.withdrawn = kind == CH_RECORD_SECOND};

	memcpy(record.policy, wish->policy, sizeof(record.policy));
	record.token = wish->token;
	record.token_until_s = time(NULL) + wish->until_s;
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	need(ch_record_is_signed(&record) ? ch_record_sign(&record, tool->signer, &bytes)
					  : ch_record_encode(&record, &bytes),
		"encode");
	put(tool, &record, &bytes);
}

static void put_made(
	struct tool *tool, const struct ch_record *record, const struct ch_buf *bytes)
{
	begin(tool);
	need(ch_replica_put_chain(
		     tool->writer, tool->chain_id, tool->chain.data, tool->chain.len),
		"chain");
	put(tool, record, bytes);
}

static void put_cert(struct tool *tool, const struct wish *wish)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	make_record(tool, wish, &bytes, &record);
	put_made(tool, &record, &bytes);
}

static void put_tickets(
	struct tool *tool, const char *pool, uint64_t version, const char *keys, bool damaged)
{
	const struct mktickets how = {.pool = pool,
		.version = version,
		.recipients = &tool->recipients,
		.signer = tool->signer,
		.damaged = damaged};
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	need(keys ? mktickets(&how, keys, &bytes) : CH_EINVAL, "ticket keys");
	need(ch_record_decode(bytes.data, bytes.len, &record), "ticket keys");
	put(tool, &record, &bytes);
}

static uint64_t parse_hint(const char *hex)
{
	uint8_t bytes[8];
	uint64_t hint = 0;

	need(ch_hex_decode(hex, bytes, sizeof(bytes)), "hint");
	for (size_t i = 0; i < sizeof(bytes); i++)
		hint = hint << 8 | bytes[i];
	return hint;
}

static bool parse_policy(struct wish *wish, const char *text)
{
	static const char *const words[CH_POLICY_TAG_COUNT] = {[CH_POLICY_TENANT] = "tenant=",
		[CH_POLICY_UPSTREAM] = "upstream=",
		[CH_POLICY_HSTS] = "hsts=",
		[CH_POLICY_REDIRECT] = "redirect="};

	for (int tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		if (strncmp(text, words[tag], strlen(words[tag])) == 0) {
			text += strlen(words[tag]);
			wish->policy[tag] = (struct ch_text_view){text, strlen(text)};
			return true;
		}
	return false;
}

static void parse_option(struct wish *wish, char *text)
{
	if (strncmp(text, "names=", 6) == 0)
		wish->names = text + 6;
	else if (strncmp(text, "days=", 5) == 0)
		wish->days = atol(text + 5);
	else if (strncmp(text, "hint=", 5) == 0)
		wish->hint = parse_hint(text + 5);
	else if (strncmp(text, "token=", 6) == 0)
		wish->token = (struct ch_text_view){text + 6, strlen(text + 6)};
	else if (strncmp(text, "until=", 6) == 0)
		wish->until_s = atol(text + 6);
	else if (strncmp(text, "sealed-for=", 11) == 0)
		wish->sealed_for = text + 11;
	else if (strncmp(text, "cert=", 5) == 0)
		wish->files = text + 5;
	else if (strcmp(text, "other-key") == 0)
		wish->other_key = true;
	else if (strcmp(text, "no-chain") == 0)
		wish->no_chain = true;
	else if (strcmp(text, "lost-chain") == 0)
		wish->lost_chain = true;
	else if (strcmp(text, "unsigned") == 0)
		wish->no_signature = true;
	else if (!parse_policy(wish, text))
		die("unknown option", text);
}

/* A part of `many`: made by several threads, put in order by one. */
struct part {
	const struct tool *tool;
	char (*names)[NAME_B];
	unsigned n;
	uint64_t version;
	struct made {
		struct ch_buf bytes;
		struct ch_record record;
	} made[PART];
	_Atomic unsigned next;
};

static void *make_some(void *arg)
{
	struct part *part = arg;
	struct fast_signer *signer = NULL;
	unsigned i;

	if (part->tool->public_shape)
		need_ssl((signer = fast_signer_new(part->tool->intermediate_key)) != NULL,
			"signer");
	while ((i = part->next++) < part->n) {
		struct wish wish = {.name = part->names[i],
			.version = part->version,
			.days = 90,
			.signer = signer};

		ch_buf_init(&part->made[i].bytes, CH_RECORD_MAX_B);
		make_record(part->tool, &wish, &part->made[i].bytes, &part->made[i].record);
	}
	fast_signer_free(signer);
	return NULL;
}

static void put_part(struct tool *tool, struct part *part)
{
	pthread_t threads[JOBS_MAX];

	part->next = 0;
	for (unsigned i = 0; i < tool->jobs; i++)
		need_ssl(pthread_create(&threads[i], NULL, make_some, part) == 0, "thread");
	for (unsigned i = 0; i < tool->jobs; i++)
		(void)pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < part->n; i++) {
		put_made(tool, &part->made[i].record, &part->made[i].bytes);
		ch_buf_done(&part->made[i].bytes);
	}
	commit(tool);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* In the order of the names, as a snapshot comes: that fills the pages. */
static void put_many(struct tool *tool, const char *suffix, unsigned count, uint64_t version)
{
	CH_AUTO_FREE char(*names)[NAME_B] = calloc(count + 1u, sizeof(*names));
	CH_AUTO_FREE struct part *part = calloc(1, sizeof(*part));

	need_ssl(names && part, "memory");
	for (unsigned i = 0; i < count; i++)
		snprintf(names[i], sizeof(names[i]), "n%u.%s", i, suffix);
	qsort(names, count, sizeof(*names), by_name);
	for (unsigned at = 0; at < count; at += PART) {
		part->tool = tool;
		part->names = names + at;
		part->n = count - at < PART ? count - at : PART;
		part->version = version;
		put_part(tool, part);
	}
}

static void put_pem(struct tool *tool, const struct wish *wish, const char *path)
{
	FILE *out = fopen(path, "w");
	EVP_PKEY *key = NULL;
	X509 *leaf;

	need(ch_key_generate(&key), "key");
	leaf = make_leaf(tool, wish, key);
	need_ssl(out && PEM_write_X509(out, leaf) == 1 &&
			 PEM_write_X509(out, tool->intermediate) == 1 &&
			 PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
			 fclose(out) == 0,
		path);
	X509_free(leaf);
	EVP_PKEY_free(key);
}

static void save_record(const struct tool *tool, const struct wish *wish, const char *path)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record;
	FILE *out = fopen(path, "w");

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	make_record(tool, wish, &bytes, &record);
	need_ssl(out && fwrite(bytes.data, 1, bytes.len, out) == bytes.len && fclose(out) == 0,
		path);
}

static void rebuild_or_publish(struct tool *tool, bool publish)
{
	struct ch_err err = {.rc = 0};

	commit(tool);
	if (publish ? ch_replica_writer_publish(tool->writer, &err)
		    : ch_replica_writer_new_generation(tool->writer, &err))
		die(publish ? "publish" : "rebuild", err.detail);
}

static void run(struct tool *tool, char *text)
{
	char *verb = strsep(&text, ":");
	struct wish wish = {.days = 90, .until_s = DAY_S};
	char *option;

	if (strcmp(verb, "rebuild") == 0 || strcmp(verb, "publish") == 0) {
		rebuild_or_publish(tool, verb[0] == 'p');
		return;
	}
	wish.name = strsep(&text, ":");
	if (strcmp(verb, "many") == 0 && text) {
		unsigned count = (unsigned)atol(strsep(&text, ":"));

		put_many(tool, wish.name, count, text ? strtoull(text, NULL, 10) : 1);
		return;
	}
	if (!wish.name || !text)
		die("NAME:VERSION is missing", verb);
	if (strcmp(verb, "pem") == 0) {
		put_pem(tool, &wish, text);
		return;
	}
	wish.version = strtoull(strsep(&text, ":"), NULL, 10);
	if (strcmp(verb, "tickets") == 0) {
		const char *keys = strsep(&text, ":");

		put_tickets(tool, wish.name, wish.version, keys, text != NULL);
		return;
	}
	if (strcmp(verb, "record") == 0 && text) {
		save_record(tool, &wish, text);
		return;
	}
	while ((option = strsep(&text, ":")))
		parse_option(&wish, option);
	if (strcmp(verb, "second") == 0)
		wish.kind = CH_RECORD_SECOND;
	if (strcmp(verb, "cert") == 0 || wish.kind)
		put_cert(tool, &wish);
	else if (strcmp(verb, "no-second") == 0)
		put_plain(tool, CH_RECORD_SECOND, &wish);
	else if (strcmp(verb, "name") == 0)
		put_plain(tool, CH_RECORD_NAME, &wish);
	else if (strcmp(verb, "gone") == 0)
		put_plain(tool, CH_RECORD_TOMBSTONE, &wish);
	else if (strcmp(verb, "policy") == 0)
		put_plain(tool, CH_RECORD_POLICY, &wish);
	else if (strcmp(verb, "challenge") == 0)
		put_plain(tool, CH_RECORD_CHALLENGE, &wish);
	else
		die("unknown operation", verb);
}

static int make_key(char **argv)
{
	struct ch_recipient_key *key;
	struct ch_err err = {.rc = 0};
	char text[CH_RECIPIENT_TEXT_B];
	FILE *out;

	need(ch_recipient_key_generate(
		     strcmp(argv[0], "p256") == 0 ? CH_KEM_P256 : CH_KEM_X25519, &key),
		"key");
	if (ch_recipient_key_create_file(key, argv[1], &err))
		die("key file", err.detail);
	ch_recipient_print(&key->pub, text);
	out = fopen(argv[2], "a");
	if (!out || fprintf(out, "%s\n", text) < 0 || fclose(out))
		die("public key file", argv[2]);
	ch_recipient_key_free(key);
	return 0;
}

static void done(struct tool *tool)
{
	ch_replica_writer_free(tool->writer);
	ch_sign_key_free(tool->signer);
	ch_buf_done(&tool->chain);
	X509_free(tool->ca);
	X509_free(tool->intermediate);
	EVP_PKEY_free(tool->ca_key);
	EVP_PKEY_free(tool->intermediate_key);
}

static bool has_current(const char *dir)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/current", dir);
	return access(path, F_OK) == 0;
}

int main(int argc, char **argv)
{
	struct tool tool = {.in_txn = false, .jobs = 1};
	struct ch_replica_options options = {.reader_gid = -1, .map_b = (size_t)1 << 30};
	struct ch_err err = {.rc = 0};
	bool first;
	int at = 1;

	if (argc == 5 && strcmp(argv[1], "--make-key") == 0)
		return make_key(argv + 2);
	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		if (strcmp(argv[at], "--pki") == 0)
			snprintf(tool.pki, sizeof(tool.pki), "%s", argv[at + 1]);
		else if (strcmp(argv[at], "--group") == 0)
			options.reader_gid = atol(argv[at + 1]);
		else if (strcmp(argv[at], "--map") == 0)
			options.map_b = strtoull(argv[at + 1], NULL, 10);
		else if (strcmp(argv[at], "--shape") == 0)
			tool.public_shape = strcmp(argv[at + 1], "public") == 0;
		else if (strcmp(argv[at], "--jobs") == 0)
			tool.jobs = (unsigned)atol(argv[at + 1]);
		else if (strcmp(argv[at], "--recipients") != 0)
			die("unknown option", argv[at]);
		else if (ch_recipients_load(argv[at + 1], &tool.recipients, &err))
			die("recipients", err.detail);
	}
	if (at >= argc || !tool.pki[0] || tool.jobs < 1 || tool.jobs > JOBS_MAX)
		die("see the head of tests/tools/mkreplica.c", NULL);
	load_pki(&tool);
	options.dir = argv[at++];
	if (ch_replica_writer_open(&options, &tool.writer, &err))
		die("replica", err.detail);
	first = err.rc == CH_OK && !has_current(options.dir);
	need(ch_replica_writer_cursor(tool.writer, &tool.cursor), "cursor");
	for (; at < argc; at++)
		run(&tool, argv[at]);
	commit(&tool);
	if (first && ch_replica_writer_is_rebuilding(tool.writer))
		rebuild_or_publish(&tool, true);
	done(&tool);
	return 0;
}
