#include "stored/auth.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "stored/revoked.h"

#define CA_FILE_MAX_B (64u * 1024u)
#define PEERS_MAX 3u
#define SANS_MAX 16u
#define MEMO_MS (1 * CH_MINUTE_MS)

struct ch_auth {
	gnutls_x509_trust_list_t identity; /* the identity CA and nothing else */
	gnutls_x509_trust_list_t edge;	   /* the edge CA and nothing else */
	struct ch_buf trust_pem;
	struct ch_revoked *revoked;
};

static int CH_PRINTF(2, 3) refuse(struct ch_err *err, const char *fmt, ...)
{
	char detail[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	return ch_err_set(err, CH_EAUTH, "not-authenticated", "%s", detail);
}

static int load_ca(struct ch_auth *auth, const char *path, gnutls_x509_trust_list_t *list,
	struct ch_err *err)
{
	CH_AUTO_FREE char *pem = NULL;
	gnutls_datum_t datum;
	size_t len;
	int n;
	int rc = ch_file_read(path, CA_FILE_MAX_B, &pem, &len, err);

	if (rc)
		return rc;
	if (gnutls_x509_trust_list_init(list, 0))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	datum.data = (unsigned char *)pem;
	datum.size = (unsigned)len;
	n = gnutls_x509_trust_list_add_trust_mem(
		*list, &datum, NULL, GNUTLS_X509_FMT_PEM, GNUTLS_TL_NO_DUPLICATES, 0);
	if (n <= 0)
		return ch_err_set(err, CH_EINVAL, "config-ca", "%s: %s", path,
			n ? gnutls_strerror(n) : "has no certificate");
	if (ch_buf_add(&auth->trust_pem, pem, len) || ch_buf_add_str(&auth->trust_pem, "\n"))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	return CH_OK;
}

int ch_auth_new(
	const struct ch_auth_options *options, struct ch_auth **ret_auth, struct ch_err *err)
{
	struct ch_auth *auth = calloc(1, sizeof(*auth));
	int rc;

	if (!auth)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	ch_buf_init(&auth->trust_pem, 2 * CA_FILE_MAX_B + 2);
	rc = load_ca(auth, options->identity_ca, &auth->identity, err);
	if (!rc)
		rc = load_ca(auth, options->edge_ca, &auth->edge, err);
	if (!rc)
		rc = ch_revoked_new(options->revoked, &auth->revoked, err);
	if (rc) {
		ch_auth_free(auth);
		return rc;
	}
	*ret_auth = auth;
	return CH_OK;
}

void ch_auth_free(struct ch_auth *auth)
{
	if (!auth)
		return;
	if (auth->identity)
		gnutls_x509_trust_list_deinit(auth->identity, 1);
	if (auth->edge)
		gnutls_x509_trust_list_deinit(auth->edge, 1);
	ch_revoked_free(auth->revoked);
	ch_buf_done(&auth->trust_pem);
	free(auth);
}

const char *ch_auth_trust_pem(const struct ch_auth *auth)
{
	return ch_buf_str(&auth->trust_pem);
}

struct peers {
	const gnutls_datum_t *ders; /* the session's, leaf first */
	unsigned n;
	uint8_t leaf_sha256[32];
	uint8_t chain_sha256[32];
	gnutls_x509_crt_t crt[PEERS_MAX];
	unsigned n_crt;
};

static void peers_done(struct peers *peers)
{
	for (unsigned i = 0; i < peers->n_crt; i++)
		gnutls_x509_crt_deinit(peers->crt[i]);
	peers->n_crt = 0;
}

static int hash_chain(struct peers *peers)
{
	gnutls_hash_hd_t hash;
	int rc = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < peers->n; i++) {
		uint32_t len = peers->ders[i].size;

		rc = gnutls_hash(hash, &len, sizeof(len));
		if (!rc)
			rc = gnutls_hash(hash, peers->ders[i].data, len);
	}
	gnutls_hash_deinit(hash, peers->chain_sha256);
	return rc;
}

static int peers_take(gnutls_session_t session, struct peers *peers, struct ch_err *err)
{
	if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_CLIENT) != GNUTLS_CRT_X509)
		return refuse(err, "The client certificate is not an X.509 certificate.");
	peers->ders = gnutls_certificate_get_peers(session, &peers->n);
	if (!peers->ders || peers->n == 0)
		return refuse(err, "No client certificate was presented.");
	if (peers->n > PEERS_MAX)
		return refuse(err, "The client sent more than %u certificates.", PEERS_MAX);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, peers->ders[0].data, peers->ders[0].size,
		    peers->leaf_sha256) ||
		hash_chain(peers))
		return ch_err_set(err, CH_ECRYPTO, "internal", "SHA-256 failed");
	return CH_OK;
}

static int peers_parse(struct peers *peers, struct ch_err *err)
{
	for (unsigned i = 0; i < peers->n; i++) {
		if (gnutls_x509_crt_init(&peers->crt[i]))
			return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
		peers->n_crt++;
		if (gnutls_x509_crt_import(peers->crt[i], &peers->ders[i], GNUTLS_X509_FMT_DER))
			return refuse(err, "The client certificate cannot be read.");
	}
	return CH_OK;
}

/* GnuTLS's own verdict on the session, against both CAs.  The return code alone says nothing
 * about trust. */
static int verify_session(gnutls_session_t session, struct ch_err *err)
{
	unsigned status = ~0u;
	int rc = gnutls_certificate_verify_peers2(session, &status);

	if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return refuse(err, "No client certificate was presented.");
	if (rc)
		return refuse(err, "The client certificate cannot be verified: %s",
			gnutls_strerror(rc));
	if (status & GNUTLS_CERT_EXPIRED)
		return refuse(err, "The client certificate has expired.");
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return refuse(err, "The client certificate is not valid yet.");
	if (status)
		return refuse(
			err, "The client certificate is not signed by a CA of this store.");
	return CH_OK;
}

static bool signed_by(gnutls_x509_trust_list_t ca, struct peers *peers)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	unsigned status = ~0u;
	int rc = gnutls_x509_trust_list_verify_crt2(ca, peers->crt, peers->n, &purpose, 1,
		GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &status, NULL);

	return rc == 0 && status == 0;
}

/* The usages must be there and say so; their absence, or anyExtendedKeyUsage, is not enough. */
static int check_usage(gnutls_x509_crt_t leaf, struct ch_err *err)
{
	unsigned usage = 0;
	unsigned critical;

	if (gnutls_x509_crt_get_ca_status(leaf, &critical) > 0)
		return refuse(err, "The client certificate is a CA certificate.");
	if (gnutls_x509_crt_get_key_usage(leaf, &usage, &critical) < 0 ||
		!(usage & GNUTLS_KEY_DIGITAL_SIGNATURE))
		return refuse(err, "The client certificate's key usage does not have "
				   "digitalSignature.");
	for (unsigned i = 0; i < SANS_MAX; i++) {
		char oid[64];
		size_t oid_b = sizeof(oid);

		if (gnutls_x509_crt_get_key_purpose_oid(leaf, i, oid, &oid_b, &critical) < 0)
			break;
		if (strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0)
			return CH_OK;
	}
	return refuse(err, "The client certificate's extended key usage does not have "
			   "clientAuth.");
}

/* Exactly one URI among the subject alternative names. */
static int read_uri(gnutls_x509_crt_t leaf, struct ch_who *who, struct ch_err *err)
{
	unsigned n_uris = 0;

	for (unsigned i = 0;; i++) {
		char san[1024];
		size_t san_b = sizeof(san);
		int type = gnutls_x509_crt_get_subject_alt_name(leaf, i, san, &san_b, NULL);

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (type < 0 || i >= SANS_MAX)
			return refuse(err,
				"The client certificate's alternative names cannot be read.");
		if (type != GNUTLS_SAN_URI)
			continue;
		if (++n_uris > 1)
			return refuse(err, "The client certificate has several URIs.");
		if (san_b >= sizeof(who->text) || ch_identity_uri_parse(san, san_b, &who->uri))
			return refuse(err, "The client certificate's URI is not of the form "
					   "certherd://role/scope/id.");
		memcpy(who->text, san, san_b);
		who->text[san_b] = 0;
	}
	if (n_uris == 0)
		return refuse(err, "The client certificate has no URI.");
	return CH_OK;
}

/* The edge CA's key is online, so it may make edges and nothing else. */
static int check_role(
	struct ch_auth *auth, struct peers *peers, struct ch_who *who, struct ch_err *err)
{
	if (ch_role_parse(who->uri.role, &who->role) || who->role == CH_ROLE_STORE)
		return refuse(err, "\"%s\" is not the role of a client.", who->uri.role);
	if (signed_by(auth->identity, peers))
		return CH_OK;
	if (!signed_by(auth->edge, peers))
		return refuse(
			err, "The client certificate is not signed by a CA of this store.");
	if (who->role == CH_ROLE_EDGE)
		return CH_OK;
	return refuse(err, "The edge CA may not sign the role \"%s\".", who->uri.role);
}

/* Everything that depends on the certificates and the CAs alone. */
static int judge(struct ch_auth *auth, gnutls_session_t session, struct peers *peers,
	struct ch_auth_memo *ret_memo, struct ch_err *err)
{
	struct ch_auth_memo memo = {.known = true, .judged_at_ms = ch_mono_ms()};
	int rc = verify_session(session, err);

	if (!rc)
		rc = peers_parse(peers, err);
	if (!rc)
		rc = check_usage(peers->crt[0], err);
	if (!rc)
		rc = read_uri(peers->crt[0], &memo.who, err);
	if (!rc)
		rc = check_role(auth, peers, &memo.who, err);
	if (rc)
		return rc;
	memo.begins_s = gnutls_x509_crt_get_activation_time(peers->crt[0]);
	memo.ends_s = gnutls_x509_crt_get_expiration_time(peers->crt[0]);
	memcpy(memo.chain_sha256, peers->chain_sha256, sizeof(memo.chain_sha256));
	*ret_memo = memo;
	return CH_OK;
}

static bool still_holds(const struct ch_auth_memo *memo, const struct peers *peers)
{
	int64_t now_s = time(NULL); /* what GnuTLS goes by */

	return memo->known && ch_mono_ms() - memo->judged_at_ms < MEMO_MS &&
	       memcmp(memo->chain_sha256, peers->chain_sha256, sizeof(memo->chain_sha256)) ==
		       0 &&
	       memo->begins_s <= now_s && now_s < memo->ends_s;
}

int ch_auth_check(struct ch_auth *auth, gnutls_session_t session, struct ch_auth_memo *memo,
	struct ch_who *ret_who, struct ch_err *err)
{
	CH_CLEANUP(peers_done) struct peers peers = {.n = 0};
	int rc;

	if (!session)
		return refuse(err, "The connection is not TLS.");
	rc = peers_take(session, &peers, err);
	if (rc)
		return rc;
	if (!still_holds(memo, &peers)) {
		memo->known = false;
		rc = judge(auth, session, &peers, memo, err);
		if (rc)
			return rc;
	}
	rc = ch_revoked_check(auth->revoked, peers.leaf_sha256, memo->who.text, err);
	if (rc)
		return rc;
	*ret_who = memo->who;
	return CH_OK;
}
