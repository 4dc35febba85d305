/* The files of a new folder. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/init.h"
#include "crypto/jws.h"
#include "crypto/keys.h"
#include "crypto/pki.h"
#include "crypto/sign.h"

#define CA_DAYS 7300
#define IDENTITY_DAYS 1825
#define CONF_MAX_B (64u * 1024u)
#define EAB_MAX_B 4096u

CH_DEFINE_CLEANUP(struct ch_recipient_key *, ch_recipient_key_free)
CH_DEFINE_CLEANUP(struct ch_sign_key *, ch_sign_key_free)

static const struct {
	const char *path;
	mode_t mode;
} folders[] = {
	{"pki", 0755},
	{"offline", 0700},
	{"store", 0700},
	{"issuer", 0755},
	{"issuer/state", 0700},
	{"edge", 0755},
	{"edge/replica", 0750},
};

static int make_folders(const struct ch_init *init, struct ch_err *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < CH_ARRAY_LEN(folders); i++) {
		if (ch_init_path(init->work, folders[i].path, path))
			return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", init->dir);
		/* chmod: the umask must not narrow what the other roles have to pass. */
		if (mkdir(path, 0700) < 0 || chmod(path, folders[i].mode) < 0)
			return ch_err_set(err, CH_EIO, "mkdir", "cannot make %s: %s", path,
				strerror(errno));
	}
	return CH_OK;
}

struct ca {
	const char *name;
	const char *key;
	const char *cert;
};
static const struct ca identity_ca = {"certherd identity CA", "offline/ca.key", "pki/ca.pem"};
static const struct ca edge_ca = {"certherd edge CA", "pki/edge-ca.key", "pki/edge-ca.pem"};

static int make_ca(const struct ch_init *init, const struct ca *ca, struct ch_err *err)
{
	char key[PATH_MAX];
	char cert[PATH_MAX];

	if (ch_init_path(init->work, ca->key, key) || ch_init_path(init->work, ca->cert, cert))
		return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", init->dir);
	return ch_pki_create_ca(ca->name, CA_DAYS, key, cert, err);
}

/* Writes pki/<file>.pem and .key. */
static int make_identity(const struct ch_init *init, const struct ca *ca, const char *file,
	struct ch_pki_identity identity, struct ch_err *err)
{
	char name[64];
	char ca_key[PATH_MAX];
	char ca_cert[PATH_MAX];
	char key[PATH_MAX];
	char cert[PATH_MAX];
	int rc = ch_init_path(init->work, ca->key, ca_key);

	if (rc == CH_OK)
		rc = ch_init_path(init->work, ca->cert, ca_cert);
	snprintf(name, sizeof(name), "pki/%s.key", file);
	if (rc == CH_OK)
		rc = ch_init_path(init->work, name, key);
	snprintf(name, sizeof(name), "pki/%s.pem", file);
	if (rc == CH_OK)
		rc = ch_init_path(init->work, name, cert);
	if (rc)
		return ch_err_set(err, rc, "path", "%s is too long", init->dir);
	identity.days = IDENTITY_DAYS;
	return ch_pki_create_identity(&identity, ca_key, ca_cert, key, cert, err);
}

static int make_identities(const struct ch_init *init, struct ch_err *err)
{
	static const struct {
		const char *file;
		const char *uri;
	} clients[] = {
		{"issuer", "certherd://issuer/default/i1"},
		{"operator", "certherd://operator/default/admin"},
		{"platform", "certherd://platform/default/backend"},
	};
	struct ch_pki_identity id = {.uri = "certherd://store/default/s1", .server = 1};
	const char *sans[CH_INIT_SANS_MAX];
	char edge[160];
	int rc;

	for (size_t i = 0; i < init->n_sans; i++)
		sans[i] = init->sans[i];
	id.sans = sans;
	id.n_sans = init->n_sans;
	rc = make_identity(init, &identity_ca, "store", id, err);
	id = (struct ch_pki_identity){0};
	for (size_t i = 0; i < CH_ARRAY_LEN(clients) && rc == CH_OK; i++) {
		id.uri = clients[i].uri;
		rc = make_identity(init, &identity_ca, clients[i].file, id, err);
	}
	snprintf(edge, sizeof(edge), "certherd://edge/%s/%s", init->pool, init->edge);
	id.uri = edge;
	return rc ? rc : make_identity(init, &edge_ca, "edge", id, err);
}

static int write_text(const struct ch_init *init, const char *name, const char *text,
	mode_t mode, struct ch_err *err)
{
	char path[PATH_MAX];

	if (ch_init_path(init->work, name, path))
		return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", init->dir);
	return ch_file_create(path, text, strlen(text), mode, err);
}

static int make_recipient(struct ch_init *init, struct ch_err *err)
{
	CH_CLEANUP(ch_recipient_key_free_p) struct ch_recipient_key *key = NULL;
	char path[PATH_MAX];
	char text[512];
	int rc = ch_recipient_key_generate(CH_KEM_X25519, &key);

	if (rc == CH_OK)
		rc = ch_init_path(init->work, "edge/recipient.key", path);
	if (rc)
		return ch_err_set(err, rc, "key-generate", "cannot make the recipient key");
	rc = ch_recipient_key_create_file(key, path, err);
	if (rc)
		return rc;
	ch_recipient_print(&key->pub, init->recipient);
	snprintf(text, sizeof(text),
		"# Who can open the leaf keys: one certherd-pub-... a line, at most %d.\n"
		"# Each edge's public half, as `certherd key pub` prints it, and whose it is "
		"above.\n\n# edge %s\n%s\n",
		CH_RECIPIENTS_MAX, init->edge, init->recipient);
	return write_text(init, "issuer/recipients", text, 0644, err);
}

static int make_signer(struct ch_init *init, struct ch_err *err)
{
	CH_CLEANUP(ch_sign_key_free_p) struct ch_sign_key *key = NULL;
	char path[PATH_MAX];
	char text[512];
	int rc = ch_init_path(init->work, "issuer/signing.key", path);

	if (rc)
		return ch_err_set(err, rc, "path", "%s is too long", init->dir);
	rc = ch_sign_key_create(path, err);
	if (rc == CH_OK)
		rc = ch_sign_key_load(path, &key, err);
	if (rc)
		return rc;
	rc = ch_sign_key_print_public(key, init->signer);
	if (rc)
		return ch_err_set(err, rc, "key-encode", "cannot print the signing key");
	snprintf(text, sizeof(text),
		"# Whose records this edge believes: the public half of "
		"issuer/signing.key.\n%s\n",
		init->signer);
	rc = write_text(init, "edge/signers", text, 0644, err);
	snprintf(text, sizeof(text),
		"# Whose records edges may hand back after a restore: the public half of "
		"issuer/signing.key.\n%s\n",
		init->signer);
	return rc ? rc : write_text(init, "store/signers", text, 0644, err);
}

static int make_account(struct ch_init *init, struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	char path[PATH_MAX];
	int rc = ch_key_generate(&key);

	if (rc == CH_OK)
		rc = ch_jwk_thumbprint(key, init->thumbprint);
	if (rc == CH_OK)
		rc = ch_init_path(init->work, "issuer/account.key", path);
	if (rc)
		return ch_err_set(err, rc, "key-generate", "cannot make the account key");
	return ch_key_create_pem(path, key, err);
}

/* The issuer's user cannot read the file where it was given: it gets a copy of its own. */
static int copy_eab(const struct ch_init *init, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *key = NULL;
	char path[PATH_MAX];
	int rc;

	if (!init->eab_hmac_file)
		return CH_OK;
	rc = ch_secret_read_file(init->eab_hmac_file, EAB_MAX_B, &key, err);
	if (rc)
		return rc;
	if (ch_init_path(init->work, "issuer/eab.key", path))
		return ch_err_set(err, CH_ETOOBIG, "path", "%s is too long", init->dir);
	return ch_file_create(path, ch_secret_bytes(key), ch_secret_len(key), 0600, err);
}

static int make_texts(const struct ch_init *init, struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf conf;
	CH_AUTO_BUF struct ch_buf nginx;
	int rc;

	ch_buf_init(&conf, CONF_MAX_B);
	ch_buf_init(&nginx, CONF_MAX_B);
	rc = ch_init_conf(init, &conf);
	if (rc == CH_OK)
		rc = ch_buf_addf(&nginx,
			"# For the http { } of nginx.conf:\n"
			"#     include %s/edge/nginx-certherd.conf;\n"
			"# The folder that the agent keeps up to date, the key that opens the "
			"sealed keys (read\n"
			"# as root before the workers fork), and the pinned ACME account.\n"
			"certherd_replica \"%s/edge/replica\";\n"
			"certherd_recipient_key \"%s/edge/recipient.key\";\n"
			"certherd_account_thumbprint %s;\n",
			init->dir, init->dir, init->dir, init->thumbprint);
	if (rc)
		return ch_err_set(err, rc, "out-of-memory", "cannot write certherd.conf");
	rc = write_text(init, "edge/nginx-certherd.conf", ch_buf_str(&nginx), 0644, err);
	if (rc == CH_OK)
		rc = write_text(init, "pki/revoked",
			"# Revoked identities, a line each: sha256:<hex of the certificate> "
			"or\n"
			"# uri:certherd://role/scope/id; see `certherd identity revoke`.\n",
			0644, err);
	return rc ? rc : write_text(init, "certherd.conf", ch_buf_str(&conf), 0644, err);
}

int ch_init_build(struct ch_init *init, struct ch_err *err)
{
	int rc = make_folders(init, err);

	if (rc == CH_OK)
		rc = make_ca(init, &identity_ca, err);
	if (rc == CH_OK)
		rc = make_ca(init, &edge_ca, err);
	if (rc == CH_OK)
		rc = make_identities(init, err);
	if (rc == CH_OK)
		rc = make_recipient(init, err);
	if (rc == CH_OK)
		rc = make_signer(init, err);
	if (rc == CH_OK)
		rc = make_account(init, err);
	if (rc == CH_OK)
		rc = copy_eab(init, err);
	return rc ? rc : make_texts(init, err);
}
