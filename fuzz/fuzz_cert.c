/* Certificates, chains and requests from a CA or a store, identities, lines of keys. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/pki.h"
#include "crypto/sign.h"
#include "crypto/x509.h"
#include "fuzz.h"

static void check_chain(const struct ch_cert_chain *chain)
{
	static const char *const names[] = {"shop.example.com"};
	static const uint8_t spki[CH_SHA256_B];
	struct ch_cert_expect expect = {spki, names, 1, 1795342320, NULL};
	struct ch_trust *trust = NULL;
	struct ch_err err;
	const uint8_t *der;
	size_t len;

	CH_FUZZ_CHECK(ch_cert_chain_len(chain) > 0 && ch_cert_chain_len(chain) <= 9);
	ch_cert_chain_der(chain, ch_cert_chain_len(chain) - 1, &der, &len);
	CH_FUZZ_CHECK(len > 0 && len <= 8192);
	CH_FUZZ_CHECK(ch_trust_load("any", &trust, NULL) == CH_OK);
	/* No certificate has a key whose SHA-256 is all zeros. */
	CH_FUZZ_CHECK(ch_cert_chain_check(chain, &expect, &err) != CH_OK);
	ch_trust_free(trust);
}

static void parse_der(const uint8_t *data, size_t size)
{
	struct ch_cert_info *info = malloc(sizeof(*info));
	uint8_t digest[CH_SHA256_B];

	CH_FUZZ_CHECK(info);
	if (ch_cert_info_der(data, size, info, NULL) == CH_OK) {
		CH_FUZZ_CHECK(info->n_names <= CH_CERT_NAMES_MAX);
		for (size_t i = 0; i < info->n_names; i++)
			CH_FUZZ_CHECK(ch_cert_covers(info, info->names[i]));
		CH_FUZZ_CHECK(strlen(info->serial) < sizeof(info->serial));
	}
	free(info);
	if (ch_csr_spki_sha256(data, size, digest))
		return;
}

static void parse_text(const char *text)
{
	struct ch_recipients recipients;
	struct ch_recipient_key *key = NULL;
	struct ch_verify_set *set = NULL;
	struct ch_identity_uri uri;
	struct ch_err err;

	if (ch_identity_uri_parse(text, strlen(text), &uri) == CH_OK)
		CH_FUZZ_CHECK(*uri.role && *uri.scope && *uri.id);
	if (ch_recipients_parse(text, "f", &recipients, &err) == CH_OK)
		CH_FUZZ_CHECK(recipients.n > 0 && recipients.n <= CH_RECIPIENTS_MAX);
	if (ch_recipient_key_parse(text, "f", &key, &err) == CH_OK)
		ch_recipient_key_free(key);
	if (ch_verify_set_parse(text, &set, &err) == CH_OK)
		ch_verify_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CH_AUTO_FREE char *text = malloc(size + 1);
	struct ch_cert_chain *chain = NULL;
	struct ch_err err;

	CH_FUZZ_CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	if (ch_cert_chain_parse_pem(text, size, &chain, &err) == CH_OK) {
		check_chain(chain);
		ch_cert_chain_free(chain);
	}
	parse_der(data, size);
	parse_text(text);
	return 0;
}
