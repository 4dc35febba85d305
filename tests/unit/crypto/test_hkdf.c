#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/hkdf.h"

static void hmac(const void *key, size_t key_len, const struct ch_bytes *parts, size_t n,
	uint8_t ret_tag[CH_HASH_B])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(ch_hmac(ctx, key, key_len, parts, n, ret_tag), CH_OK);
	EVP_MD_CTX_free(ctx);
}

/* RFC 4231 section 4.3 */
static void the_tag_is_that_of_rfc_4231(void **state)
{
	static const uint8_t want[CH_HASH_B] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
		0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d,
		0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	const struct ch_bytes parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
	uint8_t tag[CH_HASH_B];

	hmac("Jefe", 4, parts, 2, tag);
	assert_memory_equal(tag, want, sizeof(want));
}

static void keys_and_texts_of_any_length_agree_with_openssl(void **state)
{
	uint8_t bytes[400];
	uint8_t tag[CH_HASH_B];
	uint8_t want[CH_HASH_B];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	for (size_t key_len = 1; key_len <= 131; key_len++)
		for (size_t len = 0; len <= 200; len += 40) {
			const struct ch_bytes parts[] = {{bytes, len / 3}, CH_NO_BYTES,
				{bytes + len / 3, len - len / 3}};

			assert_non_null(HMAC(EVP_sha256(), bytes + 200, (int)key_len, bytes,
				len, want, NULL));
			hmac(bytes + 200, key_len, parts, CH_ARRAY_LEN(parts), tag);
			assert_memory_equal(tag, want, sizeof(want));
		}
}

static void a_changed_key_or_text_has_another_tag(void **state)
{
	const struct ch_bytes text = {"text", 4};
	const struct ch_bytes other = {"texu", 4};
	uint8_t tag[CH_HASH_B];
	uint8_t changed[CH_HASH_B];

	hmac("key", 3, &text, 1, tag);
	hmac("kez", 3, &text, 1, changed);
	assert_memory_not_equal(tag, changed, sizeof(tag));
	hmac("key", 3, &other, 1, changed);
	assert_memory_not_equal(tag, changed, sizeof(tag));
}

/* Nothing of one call is left in the context for the next. */
static void a_context_serves_one_call_after_another(void **state)
{
	const struct ch_bytes text = {"text", 4};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t first[CH_HASH_B];
	uint8_t again[CH_HASH_B];

	assert_int_equal(ch_hmac(ctx, (const uint8_t *)"key", 3, &text, 1, first), CH_OK);
	assert_int_equal(ch_hmac(ctx, (const uint8_t *)"other", 5, &text, 1, again), CH_OK);
	assert_memory_not_equal(first, again, sizeof(first));
	assert_int_equal(ch_hmac(ctx, (const uint8_t *)"key", 3, &text, 1, again), CH_OK);
	assert_memory_equal(first, again, sizeof(first));
	EVP_MD_CTX_free(ctx);
}

static void an_expansion_is_of_one_block_at_most(void **state)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct ch_hkdf hkdf = {.digest = ctx};
	uint8_t prk[CH_HASH_B] = {1};
	uint8_t okm[CH_HASH_B + 1];

	assert_int_equal(
		ch_hkdf_labeled_expand(&hkdf, prk, "key", CH_NO_BYTES, okm, CH_HASH_B), CH_OK);
	assert_int_equal(
		ch_hkdf_labeled_expand(&hkdf, prk, "key", CH_NO_BYTES, okm, sizeof(okm)),
		CH_EINVAL);
	assert_int_equal(
		ch_hkdf_labeled_expand(&hkdf, prk, "key", CH_NO_BYTES, okm, 0), CH_EINVAL);
	EVP_MD_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tag_is_that_of_rfc_4231),
		cmocka_unit_test(keys_and_texts_of_any_length_agree_with_openssl),
		cmocka_unit_test(a_changed_key_or_text_has_another_tag),
		cmocka_unit_test(a_context_serves_one_call_after_another),
		cmocka_unit_test(an_expansion_is_of_one_block_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
