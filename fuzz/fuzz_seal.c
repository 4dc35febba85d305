/* Sealed copies, recipient lines, key blocks: nothing that was not sealed to the key opens, and
 * a block that makes a key is made of it again. */
#include <string.h>

#include "crypto/keys.h"
#include "crypto/seal.h"
#include "fuzz.h"

static void open_with(enum ch_kem kem, const uint8_t *data, size_t size, size_t enc_len)
{
	static const uint8_t priv[32] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct ch_recipient_key *key = NULL;
	uint8_t pt[4096];

	if (size < enc_len + CH_SEAL_TAG_B || size - enc_len > sizeof(pt))
		return;
	CH_FUZZ_CHECK(ch_recipient_key_from_bytes(kem, priv, &key) == CH_OK);
	CH_FUZZ_CHECK(ch_hpke_open(key, data, enc_len, (const uint8_t *)"i", 1, NULL, 0,
			      data + enc_len, size - enc_len, pt) != CH_OK);
	ch_recipient_key_free(key);
}

static void parse_recipient(const uint8_t *data, size_t size)
{
	char text[512];
	char back[CH_RECIPIENT_TEXT_B];
	struct ch_recipient recipient;

	if (size >= sizeof(text))
		return;
	for (size_t i = 0; i < size; i++)
		text[i] = (char)data[i];
	text[size] = 0;
	if (ch_recipient_parse(text, &recipient))
		return;
	ch_recipient_print(&recipient, back);
	CH_FUZZ_CHECK(ch_recipient_parse(back, &recipient) == CH_OK);
}

static void parse_block(const uint8_t *data, size_t size)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;

	if (ch_key_from_block(data, size, &key))
		return;
	CH_FUZZ_CHECK(ch_key_to_block(key, &block) == CH_OK);
	CH_FUZZ_CHECK(ch_secret_len(block) == size);
	CH_FUZZ_CHECK(memcmp(ch_secret_bytes(block), data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	open_with(CH_KEM_X25519, data, size, 32);
	open_with(CH_KEM_P256, data, size, 65);
	parse_recipient(data, size);
	parse_block(data, size);
	return 0;
}
