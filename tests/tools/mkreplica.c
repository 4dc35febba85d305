/* Makes replicas for tests and benchmarks, without a store, an issuer or a CA.
 *
 *   mkreplica --make-key x25519|p256 SECRET PUBLIC
 *   mkreplica --pki DIR --recipients FILE [--group GID] [--map BYTES] [--shape public]
 *             REPLICA OPERATION…
 *
 * --pki DIR holds ca.pem, intermediate.pem, chain.pem and their keys, and the key that signs
 * records; what is missing is made.  One call is one transaction (but for `publish`):
 *
 *   name:NAME:VERSION[:hint=16 hex digits]
 *   cert:NAME:VERSION[:OPTION…]        a certificate for NAME, its key sealed
 *   gone:NAME:VERSION                  a tombstone
 *   policy:NAME:VERSION[:tenant=…][:upstream=…][:hsts=…][:redirect=…]
 *   tickets:POOL:VERSION:KEYS[:damaged]       ticket keys: see mktickets.h
 *   many:SUFFIX:COUNT:VERSION          certificates for n<number>.SUFFIX
 *   pem:NAME:FILE                      such a certificate, its chain and its key into a file
 *   rebuild | publish                  begin a generation, make it live (the first of a folder
 *                                      goes live by itself)
 *
 * --shape public: certificates as large as a public CA's (shape.h), an intermediate with P-384
 * under a root with RSA-4096.
 *
 * Options of cert: names=a+b (SANs), days=N (negative: expired), hint=…, sealed-for=NAME (the
 * copy is bound to that name), other-key (of no certificate), no-chain, lost-chain (its chain
 * is not stored), unsigned (its signature is zeroes), cert=PEM+KEYPEM (given files). */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
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
#include "mktickets.h"
#include "shape.h"
#include "wire/record.h"

#define DAY_S 86400L

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "mkreplica: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	exit(1);
}

static void need(int rc, const char *what)
{
	if (rc < 0)
		die(what, ch_rc_str(rc));
}

static void need_ssl(int ok, const char *what)
{
	if (!ok)
		die(what, "OpenSSL");
}

struct tool {
	char pki[512];
	X509 *ca;
	X509 *intermediate;
	EVP_PKEY *ca_key;
	EVP_PKEY *intermediate_key;
	struct ch_sign_key *signer;
	struct ch_recipients recipients;
	struct ch_buf chain;
	uint8_t chain_id[CH_CHAIN_ID_B];
	struct ch_replica_writer *writer;
	struct ch_cursor cursor;
	bool in_txn;
	bool public_shape;
};

struct wish { /* of one certificate */
	char *name;
	uint64_t version;
	uint64_t hint;
	char *names;
	long days;
	const char *sealed_for;
	char *files;
	bool other_key;
	bool no_chain;
	bool lost_chain;
	bool no_signature;
	struct ch_text_view policy[CH_POLICY_TAG_COUNT];
};

static void add_ext(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	need_ssl(ext && X509_add_ext(x509, ext, -1) == 1, "extension");
	X509_EXTENSION_free(ext);
}

/* san NULL: of an authority; issuer NULL: the root. */
static void add_extensions(const struct tool *tool, X509 *x509, X509 *issuer, const char *san)
{
	if (tool->public_shape) {
		need_ssl(san ? shape_leaf(x509, issuer, san)
			     : shape_authority(x509, issuer ? issuer : x509),
			"extensions");
		return;
	}
	add_ext(x509, NID_basic_constraints, san ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san) {
		add_ext(x509, NID_ext_key_usage, "serverAuth");
		add_ext(x509, NID_subject_alt_name, san);
	}
}

static bool set_serial(const struct tool *tool, X509 *x509)
{
	static long serial;

	serial = serial ? serial + 1 : (long)time(NULL) * 1000 + getpid() % 1000;
	return tool->public_shape ? shape_serial(x509)
				  : ASN1_INTEGER_set(X509_get_serialNumber(x509), serial) == 1;
}

static X509 *make_x509(const struct tool *tool, const char *cn, EVP_PKEY *key, long days,
	X509 *issuer, EVP_PKEY *issuer_key, const char *san)
{
	X509 *x509 = X509_new();
	X509_NAME *name = x509 ? X509_get_subject_name(x509) : NULL;
	time_t now = time(NULL);

	need_ssl(x509 && X509_set_version(x509, X509_VERSION_3) == 1 &&
			 set_serial(tool, x509) &&
			 (san || !tool->public_shape || shape_subject(x509)) &&
			 X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				 (const unsigned char *)cn, -1, -1, 0) == 1,
		"certificate");
	need_ssl(X509_set_issuer_name(x509, issuer ? X509_get_subject_name(issuer) : name) ==
				 1 &&
			 ASN1_TIME_set(X509_getm_notBefore(x509),
				 now - 3600 + (days < 0 ? 2 * days * DAY_S : 0)) &&
			 ASN1_TIME_set(X509_getm_notAfter(x509), now + days * DAY_S) &&
			 X509_set_pubkey(x509, key) == 1,
		"certificate");
	add_extensions(tool, x509, issuer, san);
	need_ssl(X509_sign(x509, issuer_key, EVP_sha256()) > 0, "signing a certificate");
	return x509;
}

static FILE *open_pki(const struct tool *tool, const char *file, const char *mode)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", tool->pki, file);
	return fopen(path, mode);
}

static X509 *load_x509(const struct tool *tool, const char *file)
{
	FILE *in = open_pki(tool, file, "r");
	X509 *x509 = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;

	if (in)
		fclose(in);
	return x509;
}

static EVP_PKEY *load_key(const struct tool *tool, const char *file)
{
	FILE *in = open_pki(tool, file, "r");
	EVP_PKEY *key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;

	if (in)
		fclose(in);
	return key;
}

static void save(const struct tool *tool, const char *file, X509 *a, X509 *b, EVP_PKEY *key)
{
	FILE *out = open_pki(tool, file, "w");

	need_ssl(out && (!a || PEM_write_X509(out, a) == 1) &&
			 (!b || PEM_write_X509(out, b) == 1) &&
			 (!key || PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) ==
					  1),
		file);
	fclose(out);
}

static void make_pki(struct tool *tool)
{
	mkdir(tool->pki, 0755);
	tool->ca_key = tool->public_shape ? EVP_RSA_gen(4096) : EVP_EC_gen("P-256");
	tool->intermediate_key = EVP_EC_gen(tool->public_shape ? "P-384" : "P-256");
	need_ssl(tool->ca_key && tool->intermediate_key, "keys");
	tool->ca = make_x509(tool, "test root", tool->ca_key, 365, NULL, tool->ca_key, NULL);
	tool->intermediate = make_x509(tool, "test intermediate", tool->intermediate_key, 365,
		tool->ca, tool->ca_key, NULL);
	save(tool, "ca.pem", tool->ca, NULL, NULL);
	save(tool, "ca.key", NULL, NULL, tool->ca_key);
	save(tool, "intermediate.pem", tool->intermediate, NULL, NULL);
	save(tool, "intermediate.key", NULL, NULL, tool->intermediate_key);
	save(tool, "chain.pem", tool->intermediate, tool->ca, NULL);
}

static void load_pki(struct tool *tool)
{
	struct ch_err err = {.rc = 0};
	char path[600];
	struct ch_chain chain = {.n = 1};
	unsigned char *der = NULL;
	int len;

	tool->ca = load_x509(tool, "ca.pem");
	tool->ca_key = load_key(tool, "ca.key");
	tool->intermediate = load_x509(tool, "intermediate.pem");
	tool->intermediate_key = load_key(tool, "intermediate.key");
	if (!tool->ca || !tool->ca_key || !tool->intermediate || !tool->intermediate_key)
		make_pki(tool);
	snprintf(path, sizeof(path), "%s/signing.key", tool->pki);
	if (ch_sign_key_load(path, &tool->signer, &err) != CH_OK &&
		(ch_sign_key_create(path, &err) != CH_OK ||
			ch_sign_key_load(path, &tool->signer, &err) != CH_OK))
		die("signing key", err.detail);
	len = i2d_X509(tool->intermediate, &der);
	need_ssl(len > 0, "intermediate");
	chain.der[0] = der;
	chain.der_len[0] = (size_t)len;
	ch_buf_init(&tool->chain, CH_CHAIN_MAX_B);
	need(ch_chain_encode(&chain, &tool->chain), "chain");
	need(ch_chain_id(tool->chain.data, tool->chain.len, tool->chain_id), "chain id");
	OPENSSL_free(der);
}

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
		.name_len = strlen(wish->name)};

	memcpy(record.policy, wish->policy, sizeof(record.policy));
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	need(ch_record_encode(&record, &bytes), "encode");
	put(tool, &record, &bytes);
}

static X509 *make_leaf(struct tool *tool, const struct wish *wish, EVP_PKEY *key)
{
	CH_AUTO_BUF struct ch_buf san;
	const char *names = wish->names ? wish->names : wish->name;

	ch_buf_init(&san, 1 << 16);
	for (const char *at = names; *at;) {
		size_t len = strcspn(at, "+");

		ch_buf_addf(&san, "%sDNS:%.*s", at == names ? "" : ",", (int)len, at);
		at += len + (at[len] == '+');
	}
	return make_x509(tool,
		tool->public_shape && strlen(names) <= ub_common_name ? names : "leaf", key,
		wish->days, tool->intermediate, tool->intermediate_key, ch_buf_str(&san));
}

static void load_given(const struct wish *wish, X509 **ret_leaf, EVP_PKEY **ret_key)
{
	char *plus = strchr(wish->files, '+');
	FILE *in;

	if (!plus)
		die("cert=PEM+KEYPEM", NULL);
	*plus = 0;
	in = fopen(wish->files, "r");
	*ret_leaf = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;
	if (in)
		fclose(in);
	in = fopen(plus + 1, "r");
	*ret_key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
	if (in)
		fclose(in);
	need_ssl(*ret_leaf && *ret_key, wish->files);
}

static void seal(struct tool *tool, const struct wish *wish, EVP_PKEY *leaf_key,
	EVP_PKEY *sealed_key, struct ch_sealed sealed[CH_RECORD_SEALED_MAX])
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	uint8_t spki[CH_SHA256_B];
	const char *name = wish->sealed_for ? wish->sealed_for : wish->name;
	struct ch_seal_binding binding = {.name = name,
		.name_len = strlen(name),
		.key_version = wish->version,
		.spki_sha256 = spki};

	need(ch_key_spki_sha256(leaf_key, spki), "spki");
	need(ch_key_to_block(sealed_key, &block), "key block");
	for (size_t i = 0; i < tool->recipients.n; i++)
		need(ch_seal_key(&tool->recipients.list[i], &binding, block, &sealed[i]),
			"seal");
}

static int64_t unix_of(const ASN1_TIME *t)
{
	struct tm tm;

	need_ssl(ASN1_TIME_to_tm(t, &tm) == 1, "time");
	return (int64_t)timegm(&tm);
}

static void put_record(
	struct tool *tool, const struct wish *wish, X509 *leaf, const struct ch_sealed *sealed)
{
	static const uint8_t no_chain[CH_CHAIN_ID_B];
	static const uint8_t lost_chain[CH_CHAIN_ID_B] = {1, 2, 3};
	CH_AUTO_BUF struct ch_buf bytes;
	unsigned char *der = NULL;
	int der_len = i2d_X509(leaf, &der);
	struct ch_record record = {.kind = CH_RECORD_CERT,
		.version = wish->version,
		.account_hint = wish->hint,
		.name = wish->name,
		.name_len = strlen(wish->name),
		.key_version = wish->version,
		.not_before_s = unix_of(X509_get0_notBefore(leaf)),
		.not_after_s = unix_of(X509_get0_notAfter(leaf)),
		.chain_id = tool->chain_id,
		.n_sealed = tool->recipients.n};

	need_ssl(der_len > 0, "leaf");
	record.leaf = der;
	record.leaf_len = (size_t)der_len;
	if (wish->no_chain || wish->files)
		record.chain_id = no_chain;
	if (wish->lost_chain)
		record.chain_id = lost_chain;
	for (size_t i = 0; i < record.n_sealed; i++)
		record.sealed[i] =
			(struct ch_sealed_view){.recipient_id = sealed[i].recipient_id,
				.kem_id = (uint16_t)sealed[i].kem,
				.enc = sealed[i].enc,
				.enc_len = sealed[i].enc_len,
				.ct = sealed[i].ct,
				.ct_len = sealed[i].ct_len};
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	need(ch_record_sign(&record, tool->signer, &bytes), "sign");
	if (wish->no_signature)
		memset(bytes.data + bytes.len - CH_SIGNATURE_B, 0, CH_SIGNATURE_B);
	begin(tool);
	need(ch_replica_put_chain(
		     tool->writer, tool->chain_id, tool->chain.data, tool->chain.len),
		"chain");
	put(tool, &record, &bytes);
	OPENSSL_free(der);
}

static void put_cert(struct tool *tool, const struct wish *wish)
{
	struct ch_sealed sealed[CH_RECORD_SEALED_MAX];
	EVP_PKEY *key = NULL;
	EVP_PKEY *other = NULL;
	X509 *leaf = NULL;

	if (wish->files) {
		load_given(wish, &leaf, &key);
	} else {
		need(ch_key_generate(&key), "key");
		leaf = make_leaf(tool, wish, key);
	}
	if (wish->other_key)
		need(ch_key_generate(&other), "key");
	seal(tool, wish, key, other ? other : key, sealed);
	put_record(tool, wish, leaf, sealed);
	X509_free(leaf);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
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

static void put_many(struct tool *tool, const char *suffix, unsigned count, uint64_t version)
{
	for (unsigned i = 0; i < count; i++) {
		char name[300];
		struct wish wish = {.name = name, .version = version, .days = 90};

		snprintf(name, sizeof(name), "n%u.%s", i, suffix);
		put_cert(tool, &wish);
		if (i % 1000 == 999)
			commit(tool);
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
	struct wish wish = {.days = 90};
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
	while ((option = strsep(&text, ":")))
		parse_option(&wish, option);
	if (strcmp(verb, "cert") == 0)
		put_cert(tool, &wish);
	else if (strcmp(verb, "name") == 0)
		put_plain(tool, CH_RECORD_NAME, &wish);
	else if (strcmp(verb, "gone") == 0)
		put_plain(tool, CH_RECORD_TOMBSTONE, &wish);
	else if (strcmp(verb, "policy") == 0)
		put_plain(tool, CH_RECORD_POLICY, &wish);
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
	struct tool tool = {.in_txn = false};
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
		else if (strcmp(argv[at], "--recipients") != 0)
			die("unknown option", argv[at]);
		else if (ch_recipients_load(argv[at + 1], &tool.recipients, &err))
			die("recipients", err.detail);
	}
	if (at >= argc || !tool.pki[0])
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
