#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "cli/recipients.h"
#include "cli/setup.h"
#include "cli/verbs.h"
#include "crypto/jws.h"
#include "crypto/keys.h"

CH_DEFINE_CLEANUP(struct ch_recipient_key *, ch_recipient_key_free)

static int complain(const struct ch_err *err)
{
	fprintf(stderr, "certherd key: %s\n", err->detail);
	return err->rc == CH_EINVAL || err->rc == CH_ENOTFOUND ? 2 : 1;
}

static int print_public(const struct ch_recipient_key *key)
{
	char text[CH_RECIPIENT_TEXT_B];

	ch_recipient_print(&key->pub, text);
	return puts(text) < 0 || fflush(stdout) ? 1 : 0;
}

static int print_id(const struct ch_recipient_key *key)
{
	char hex[2 * sizeof(key->pub.id) + 1];

	ch_hex_encode(key->pub.id, sizeof(key->pub.id), hex);
	return puts(hex) < 0 || fflush(stdout) ? 1 : 0;
}

static int parse_type(const char *text, enum ch_kem *ret_kem, struct ch_err *err)
{
	if (strcmp(text, "x25519") == 0)
		*ret_kem = CH_KEM_X25519;
	else if (strcmp(text, "p256") == 0)
		*ret_kem = CH_KEM_P256;
	else
		return ch_err_set(err, CH_EINVAL, "key-type",
			"there is no key type \"%s\": x25519 or p256", text);
	return CH_OK;
}

static int key_new(int argc, char **argv)
{
	CH_CLEANUP(ch_recipient_key_free_p) struct ch_recipient_key *key = NULL;
	char long_out[] = "--out";
	const char *type = "x25519";
	const char *out = NULL;
	const struct ch_opt list[] = {
		{"type", "x25519|p256", "kind of key (default: x25519)", NULL, &type},
		{"out", "FILE", "the same as the argument FILE; short: -o", NULL, &out},
	};
	const struct ch_opts opts = {"key new", "FILE [options]",
		"Makes a recipient key pair: the private half into FILE (mode 0600, never\n"
		"overwritten), the public half printed as one line.",
		list, CH_ARRAY_LEN(list), 0, 1};
	struct ch_err err;
	enum ch_kem kem = CH_KEM_X25519;
	size_t n;
	int rc;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = long_out;
	rc = ch_opts_parse(&opts, argc, argv, &n);
	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	if (n + (out != NULL) != 1) {
		(void)ch_err_set(
			&err, CH_EINVAL, "usage", "give one FILE for the private half");
		return complain(&err);
	}
	if (parse_type(type, &kem, &err))
		return complain(&err);
	if (ch_recipient_key_generate(kem, &key)) {
		fprintf(stderr, "certherd key: cannot make a key\n");
		return 1;
	}
	if (ch_recipient_key_create_file(key, out ? out : argv[1], &err))
		return complain(&err);
	return print_public(key);
}

/* Who takes the public halves for the key must not be told to hide them from the issuer. */
static int complain_of_file(const char *path, struct ch_err *err)
{
	struct ch_recipients public_halves;
	struct ch_err none;

	if (ch_recipients_load(path, &public_halves, &none) == CH_OK)
		(void)ch_err_set(err, CH_EINVAL, "key-file",
			"%s has no private key but public halves: `certherd key recipients %s` "
			"lists them, with their ids",
			path, path);
	return complain(err);
}

static int key_pub(int argc, char **argv)
{
	CH_CLEANUP(ch_recipient_key_free_p) struct ch_recipient_key *key = NULL;
	bool id = false;
	const struct ch_opt list[] = {{"id", NULL,
		"its id instead, as `certherd cert show` has it in \"sealed to\"", &id, NULL}};
	const struct ch_opts opts = {"key pub", "FILE [--id]",
		"Prints the public half of the private key in FILE.", list, CH_ARRAY_LEN(list),
		1, 1};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	if (ch_recipient_key_load(argv[1], &key, &err))
		return complain_of_file(argv[1], &err);
	return id ? print_id(key) : print_public(key);
}

static int print_thumbprint(EVP_PKEY *key)
{
	char text[CH_THUMBPRINT_TEXT_B];

	if (ch_jwk_thumbprint(key, text)) {
		fprintf(stderr, "certherd key: the key is not a P-256 key\n");
		return 1;
	}
	return puts(text) < 0 || fflush(stdout) ? 1 : 0;
}

static int key_account(int argc, char **argv)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	const struct ch_opts opts = {"key account", "FILE",
		"Makes the account key of a CA (P-256, into FILE with mode 0600, never\n"
		"overwritten) and prints its thumbprint, which every edge has to pin\n"
		"(certherd_account_thumbprint) before the issuer uses it.",
		NULL, 0, 1, 1};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	if (ch_key_generate(&key)) {
		fprintf(stderr, "certherd key: cannot make a key\n");
		return 1;
	}
	if (ch_key_create_pem(argv[1], key, &err))
		return complain(&err);
	return print_thumbprint(key);
}

static int key_thumbprint(int argc, char **argv)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	const struct ch_opts opts = {"key thumbprint", "FILE",
		"Prints the thumbprint (RFC 7638) of the account key in FILE.", NULL, 0, 1, 1};
	struct ch_err err;
	size_t n;
	int rc = ch_opts_parse(&opts, argc, argv, &n);

	if (rc)
		return rc == CH_ECANCELED ? 0 : 2;
	if (ch_key_load_pem(argv[1], &key, &err))
		return complain(&err);
	return print_thumbprint(key);
}

int ch_key_main(int argc, char **argv)
{
	static const struct ch_verb verbs[] = {
		{"new", "FILE", "make a key pair: private half into FILE, public half printed",
			key_new},
		{"pub", "FILE", "print the public half of the private key in FILE", key_pub},
		{"recipients", "[FILE]", "list the issuer's recipients, with their ids",
			ch_key_recipients_main},
		{"account", "FILE", "make a CA's account key, and print its thumbprint",
			key_account},
		{"thumbprint", "FILE", "print the thumbprint of the account key in FILE",
			key_thumbprint},
	};

	ch_secret_harden_process();
	return ch_verbs_main("key",
		"Recipient keys: what the leaf keys are sealed to, and what opens them on the "
		"edges.\n"
		"The public line goes into the issuer's file of recipients "
		"(issuer/recipients); the\n"
		"private file goes to the edges, where nginx reads it as root "
		"(certherd_recipient_key).\n"
		"And account keys: under which the issuer is known to a CA.",
		verbs, CH_ARRAY_LEN(verbs), argc, argv);
}
