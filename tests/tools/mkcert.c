#include "mkcert.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "shape.h"

_Noreturn void die(const char *what, const char *detail)
{
	fprintf(stderr, "mkreplica: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	exit(1);
}

void need(int rc, const char *what)
{
	if (rc < 0)
		die(what, ch_rc_str(rc));
}

void need_ssl(int ok, const char *what)
{
	if (!ok)
		die(what, "OpenSSL");
}

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
	static _Atomic long made;
	long serial = tool->first_serial + made++;

	return tool->public_shape ? shape_serial(x509)
				  : ASN1_INTEGER_set(X509_get_serialNumber(x509), serial) == 1;
}

/* Still without a signature. */
static X509 *make_x509(const struct tool *tool, const char *cn, EVP_PKEY *key, long days,
	X509 *issuer, const char *san)
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
	return x509;
}

static void sign_x509(X509 *x509, EVP_PKEY *issuer_key)
{
	need_ssl(X509_sign(x509, issuer_key, EVP_sha256()) > 0, "signing a certificate");
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
	tool->ca = make_x509(tool, "test root", tool->ca_key, 365, NULL, NULL);
	sign_x509(tool->ca, tool->ca_key);
	tool->intermediate = make_x509(
		tool, "test intermediate", tool->intermediate_key, 365, tool->ca, NULL);
	sign_x509(tool->intermediate, tool->ca_key);
	save(tool, "ca.pem", tool->ca, NULL, NULL);
	save(tool, "ca.key", NULL, NULL, tool->ca_key);
	save(tool, "intermediate.pem", tool->intermediate, NULL, NULL);
	save(tool, "intermediate.key", NULL, NULL, tool->intermediate_key);
	save(tool, "chain.pem", tool->intermediate, tool->ca, NULL);
}

void load_pki(struct tool *tool)
{
	struct ch_err err = {.rc = 0};
	char path[600];
	struct ch_chain chain = {.n = 1};
	unsigned char *der = NULL;
	int len;

	tool->first_serial = (long)time(NULL) * 1000 + getpid() % 1000;
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

X509 *make_leaf(const struct tool *tool, const struct wish *wish, EVP_PKEY *key)
{
	CH_AUTO_BUF struct ch_buf san;
	const char *names = wish->names ? wish->names : wish->name;
	X509 *x509;

	ch_buf_init(&san, 1 << 16);
	for (const char *at = names; *at;) {
		size_t len = strcspn(at, "+");

		ch_buf_addf(&san, "%sDNS:%.*s", at == names ? "" : ",", (int)len, at);
		at += len + (at[len] == '+');
	}
	x509 = make_x509(tool,
		tool->public_shape && strlen(names) <= ub_common_name ? names : "leaf", key,
		wish->days, tool->intermediate, ch_buf_str(&san));
	if (wish->signer)
		need_ssl(fast_sign(wish->signer, x509), "signing a certificate");
	else
		sign_x509(x509, tool->intermediate_key);
	return x509;
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

static void seal(const struct tool *tool, const struct wish *wish, EVP_PKEY *leaf_key,
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

static void sign_record(const struct tool *tool, const struct wish *wish, X509 *leaf,
	const struct ch_sealed *sealed, struct ch_buf *bytes)
{
	static const uint8_t no_chain[CH_CHAIN_ID_B];
	static const uint8_t lost_chain[CH_CHAIN_ID_B] = {1, 2, 3};
	unsigned char *der = NULL;
	int der_len = i2d_X509(leaf, &der);
	struct ch_record record = {.kind = wish->kind ? wish->kind : CH_RECORD_CERT,
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
	need(ch_record_sign(&record, tool->signer, bytes), "sign");
	if (wish->no_signature)
		memset(bytes->data + bytes->len - CH_SIGNATURE_B, 0, CH_SIGNATURE_B);
	OPENSSL_free(der);
}

void make_record(const struct tool *tool, const struct wish *wish, struct ch_buf *bytes,
	struct ch_record *ret_record)
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
	sign_record(tool, wish, leaf, sealed, bytes);
	X509_free(leaf);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	need(ch_record_decode(bytes->data, bytes->len, ret_record), "decode");
}
