#include "ca.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/keys.h"
#include "order.h"
#include "settings.h"
#include "shape.h"

#define YEAR_S INT64_C(31536000)
#define HUGE_B 100000

struct authority {
	EVP_PKEY *key;
	X509 *by_root[SIM_ROOTS]; /* for a root: only its own place */
	char aki[64];
};

struct sim_ca {
	struct authority roots[SIM_ROOTS];
	struct authority intermediates[SIM_INTERMEDIATES];
};

static X509 *new_x509(EVP_PKEY *key, const X509_NAME *issuer, int64_t from_s, int64_t to_s)
{
	X509 *x509 = X509_new();

	SIM_NEED(x509 && X509_set_version(x509, 2) == 1 && shape_serial(x509) &&
		 X509_set_pubkey(x509, key) == 1 &&
		 ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)from_s) &&
		 ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)to_s) &&
		 (!issuer || X509_set_issuer_name(x509, issuer) == 1));
	return x509;
}

static void set_common_name(X509 *x509, const char *name)
{
	SIM_NEED(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
			 (const uint8_t *)name, -1, -1, 0) == 1);
}

static X509 *make_authority(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *signer)
{
	int64_t now_s = ch_now_ms() / CH_SECOND_MS;
	X509 *x509 = new_x509(key, issuer ? X509_get_subject_name(issuer) : NULL,
		now_s - YEAR_S, now_s + 20 * YEAR_S);

	SIM_NEED(shape_subject(x509));
	set_common_name(x509, name);
	if (!issuer)
		SIM_NEED(X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1);
	SIM_NEED(shape_authority(x509, issuer ? issuer : x509) &&
		 X509_sign(x509, signer, EVP_sha256()) > 0);
	return x509;
}

static void set_aki(struct authority *authority)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(authority->by_root[0]);

	SIM_NEED(id);
	ch_b64u_encode(
		ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id), authority->aki);
}

struct sim_ca *sim_ca_new(void)
{
	struct sim_ca *ca = calloc(1, sizeof(*ca));
	char name[64];

	SIM_NEED(ca);
	for (unsigned i = 0; i < SIM_ROOTS; i++) {
		snprintf(name, sizeof(name), "Casim Root X%u", i + 1);
		SIM_NEED(ch_key_generate(&ca->roots[i].key) == CH_OK);
		ca->roots[i].by_root[i] =
			make_authority(ca->roots[i].key, name, NULL, ca->roots[i].key);
	}
	for (unsigned i = 0; i < SIM_INTERMEDIATES; i++) {
		snprintf(name, sizeof(name), "CE%u", i + 1);
		SIM_NEED(ch_key_generate(&ca->intermediates[i].key) == CH_OK);
		for (unsigned r = 0; r < SIM_ROOTS; r++)
			ca->intermediates[i].by_root[r] =
				make_authority(ca->intermediates[i].key, name,
					ca->roots[r].by_root[r], ca->roots[r].key);
		set_aki(&ca->intermediates[i]);
	}
	return ca;
}

const char *sim_ca_aki(const struct sim_ca *ca, unsigned intermediate)
{
	return ca->intermediates[intermediate].aki;
}

void sim_pem_add(const uint8_t *der, size_t len, struct ch_buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long text_len;

	SIM_NEED(bio && PEM_write_bio(bio, PEM_STRING_X509, "", der, (long)len) > 0);
	text_len = BIO_get_mem_data(bio, &text);
	ch_buf_add(out, text, (size_t)text_len);
	BIO_free(bio);
}

static uint8_t *to_der(X509 *x509, size_t *ret_len)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	uint8_t *copy;

	SIM_NEED(len > 0);
	copy = malloc((size_t)len);
	SIM_NEED(copy);
	memcpy(copy, der, (size_t)len);
	OPENSSL_free(der);
	*ret_len = (size_t)len;
	return copy;
}

static void add_authority(X509 *x509, struct ch_buf *out)
{
	size_t len;
	CH_AUTO_FREE uint8_t *der = to_der(x509, &len);

	sim_pem_add(der, len, out);
}

void sim_ca_root(const struct sim_ca *ca, unsigned root, struct ch_buf *out)
{
	add_authority(ca->roots[root].by_root[root], out);
}

void sim_ca_chain(
	const struct sim *sim, const struct sim_cert *cert, unsigned root, struct ch_buf *out)
{
	sim_pem_add(cert->der, cert->der_len, out);
	add_authority(sim->ca->intermediates[cert->intermediate].by_root[root], out);
}

/* As in openssl.cnf: names passed ch_name_normalize, so none has a character that counts there.
 */
static char *make_san(const struct sim_order *order, const struct sim_flaws *flaws)
{
	CH_AUTO_BUF struct ch_buf text;

	ch_buf_init(&text, SIM_NAMES_MAX * 264);
	for (size_t i = 0; i < order->n && !flaws->wrong_names; i++)
		ch_buf_addf(&text, "%sDNS:%s", i ? "," : "", order->names[i]);
	if (flaws->wrong_names || flaws->extra_name)
		ch_buf_addf(&text, "%sDNS:other.example.net", text.len ? "," : "");
	SIM_NEED(text.rc == CH_OK);
	return sim_copy(ch_buf_str(&text));
}

static void drop_ext(X509 *x509, int nid)
{
	int at = X509_get_ext_by_NID(x509, nid, -1);

	if (at >= 0)
		X509_EXTENSION_free(X509_delete_ext(x509, at));
}

static void add_ext(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	SIM_NEED(ext && X509_add_ext(x509, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static void add_flaws(X509 *x509, const struct sim_flaws *flaws)
{
	char *big;

	if (flaws->is_ca) {
		drop_ext(x509, NID_basic_constraints);
		add_ext(x509, NID_basic_constraints, "critical,CA:TRUE");
	}
	if (flaws->no_usage) {
		drop_ext(x509, NID_ext_key_usage);
		add_ext(x509, NID_ext_key_usage, "clientAuth");
	}
	if (flaws->huge) {
		big = malloc(HUGE_B + 1);
		SIM_NEED(big);
		memset(big, 'x', HUGE_B);
		big[HUGE_B] = 0;
		add_ext(x509, NID_netscape_comment, big);
		free(big);
	}
}

static X509 *build(const struct sim *sim, const struct sim_cert *cert, EVP_PKEY *key,
	const struct sim_flaws *flaws)
{
	const struct authority *by = &sim->ca->intermediates[cert->intermediate];
	const char *wanted = cert->order->profile;
	const json_t *profile =
		sim_profile(sim, wanted ? wanted : sim_str(sim, "profiles", "default"));
	int64_t shift_s = flaws->expired   ? cert->not_before_s - cert->not_after_s - 1
			  : flaws->not_yet ? 2 * 86400
					   : 0;
	X509 *x509 = new_x509(key, X509_get_subject_name(by->by_root[0]),
		cert->not_before_s + shift_s, cert->not_after_s + shift_s);
	CH_AUTO_FREE char *san = make_san(cert->order, flaws);

	SIM_NEED(shape_leaf(x509, by->by_root[0], san));
	if (!json_is_true(json_object_get(profile, "ski")))
		drop_ext(x509, NID_subject_key_identifier);
	if (json_is_true(json_object_get(profile, "cn")) && strlen(cert->order->names[0]) <= 64)
		set_common_name(x509, cert->order->names[0]);
	add_flaws(x509, flaws);
	SIM_NEED(X509_sign(x509, by->key, EVP_sha256()) > 0);
	return x509;
}

static void take_serial(X509 *x509, struct sim_cert *cert)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
	char *hex = BN_bn2hex(number);

	SIM_NEED(number && hex && strlen(hex) < sizeof(cert->serial));
	for (size_t i = 0; hex[i]; i++)
		cert->serial[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + 32 : hex[i]);
	OPENSSL_free(hex);
	BN_free(number);
}

struct sim_cert *sim_ca_issue(struct sim *sim, struct sim_order *order, EVP_PKEY *key)
{
	const struct sim_flaws none = {0};
	const char *wanted = order->profile;
	const json_t *profile =
		sim_profile(sim, wanted ? wanted : sim_str(sim, "profiles", "default"));
	struct sim_cert *cert = calloc(1, sizeof(*cert));
	X509 *x509;

	SIM_NEED(cert);
	cert->order = order;
	cert->intermediate = sim_chance(50) ? 0 : 1;
	cert->issued_ms = sim_now_ms(sim);
	cert->not_before_s =
		cert->issued_ms / CH_SECOND_MS - sim_int(sim, "certificate", "backdate_s");
	cert->not_after_s = cert->not_before_s +
			    (int64_t)json_number_value(json_object_get(profile, "lifetime_s")) -
			    1;
	x509 = build(sim, cert, key, &none);
	take_serial(x509, cert);
	cert->der = to_der(x509, &cert->der_len);
	X509_free(x509);
	sim_list_add(&sim->certs, cert);
	sim_table_put(&sim->certs_by_serial, cert->serial, cert);
	return cert;
}

uint8_t *sim_ca_flawed(const struct sim *sim, const struct sim_cert *cert, EVP_PKEY *key,
	const struct sim_flaws *flaws, size_t *ret_len)
{
	EVP_PKEY *other = NULL;
	uint8_t *der;
	X509 *x509;

	if (flaws->wrong_key)
		SIM_NEED(ch_key_generate(&other) == CH_OK);
	x509 = build(sim, cert, other ? other : key, flaws);
	der = to_der(x509, ret_len);
	X509_free(x509);
	EVP_PKEY_free(other);
	return der;
}
