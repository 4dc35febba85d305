#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/keys.h"

static char dir[] = "/tmp/certherd-test-keys-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(
		ch_file_write_atomic(path_of(name), text, strlen(text), mode, NULL), CH_OK);
}

static void sha256_is_that_of_fips_180(void **state)
{
	uint8_t digest[CH_SHA256_B];
	char text[65];

	assert_int_equal(ch_sha256("abc", 3, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), text);
	assert_string_equal(
		text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void each_generated_key_is_whole_and_its_own(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *one = NULL;
	CH_AUTO_PKEY EVP_PKEY *two = NULL;
	EVP_PKEY_CTX *check;
	char group[32];

	assert_int_equal(ch_key_generate(&one), CH_OK);
	assert_int_equal(ch_key_generate(&two), CH_OK);
	assert_int_equal(EVP_PKEY_eq(one, two), 0);
	assert_int_equal(EVP_PKEY_get_group_name(one, group, sizeof(group), NULL), 1);
	assert_string_equal(group, "prime256v1");
	/* The scalar is in range, and the point is on the curve and the scalar's. */
	check = EVP_PKEY_CTX_new_from_pkey(NULL, one, NULL);
	assert_int_equal(EVP_PKEY_check(check), 1);
	EVP_PKEY_CTX_free(check);
}

static void a_key_block_round_trips(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_PKEY EVP_PKEY *back = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(ch_secret_len(block), CH_KEY_BLOCK_B);
	assert_int_equal(
		ch_key_from_block(ch_secret_bytes(block), CH_KEY_BLOCK_B, &back), CH_OK);
	assert_int_equal(EVP_PKEY_eq(key, back), 1);
}

static void a_key_from_a_block_signs(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_PKEY EVP_PKEY *back = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[80];
	size_t len = sizeof(sig);

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(
		ch_key_from_block(ch_secret_bytes(block), CH_KEY_BLOCK_B, &back), CH_OK);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, back), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)"hello", 5), 1);
	EVP_MD_CTX_reset(ctx);
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, len, (const uint8_t *)"hello", 5), 1);
	EVP_MD_CTX_free(ctx);
}

static void bad_key_blocks_are_refused(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	EVP_PKEY *back = NULL;
	uint8_t *at;

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	at = ch_secret_bytes(block);
	assert_int_equal(ch_key_from_block(at, 0, &back), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_from_block(at, CH_KEY_BLOCK_B - 1, &back), CH_ECRYPTO);
	at[0] = 4;
	assert_int_equal(ch_key_from_block(at, CH_KEY_BLOCK_B, &back), CH_EUNSUPPORTED);
	at[0] = 1;
	memset(at + 1, 0xff, 32); /* not below the order */
	assert_int_equal(ch_key_from_block(at, CH_KEY_BLOCK_B, &back), CH_ECRYPTO);
	memset(at + 1, 0, 32);
	assert_int_equal(ch_key_from_block(at, CH_KEY_BLOCK_B, &back), CH_ECRYPTO);
	assert_null(back);
}

static void other_kinds_of_keys_do_not_become_blocks(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *p521 = EVP_EC_gen("P-521");
	CH_AUTO_PKEY EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct ch_secret *block = NULL;

	assert_int_equal(ch_key_to_block(p521, &block), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_to_block(x25519, &block), CH_EUNSUPPORTED);
	assert_null(block);
}

static void pem_files_round_trip_and_are_never_overwritten(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_PKEY EVP_PKEY *back = NULL;
	struct ch_err err;
	struct stat st;

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_key_create_pem(path_of("a.key"), key, &err), CH_OK);
	assert_int_equal(stat(path_of("a.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(ch_key_load_pem(path_of("a.key"), &back, &err), CH_OK);
	assert_int_equal(EVP_PKEY_eq(key, back), 1);
	assert_int_equal(ch_key_create_pem(path_of("a.key"), key, &err), CH_EEXIST);
}

static void unusable_pem_files_are_refused(void **state)
{
	EVP_PKEY *key = NULL;
	struct ch_err err;

	write_file("junk.key", "hello\n", 0600);
	assert_int_equal(ch_key_load_pem(path_of("junk.key"), &key, &err), CH_EINVAL);
	write_file("open.key", "hello\n", 0644);
	assert_int_equal(ch_key_load_pem(path_of("open.key"), &key, &err), CH_EAUTH);
	assert_int_equal(ch_key_load_pem(path_of("absent.key"), &key, &err), CH_ENOTFOUND);
	/* Encrypted: must neither ask at the terminal nor pass. */
	write_file("locked.key",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n",
		0600);
	assert_int_equal(ch_key_load_pem(path_of("locked.key"), &key, &err), CH_EINVAL);
	assert_null(key);
}

static const enum ch_kem kems[] = {CH_KEM_X25519, CH_KEM_P256};

/* Of many draws: each other's, and with the bits that X25519 fixes. */
static void recipient_keys_are_drawn_anew_and_clamped(void **state)
{
	enum { DRAWS = 64 };
	uint8_t priv[DRAWS][32];
	uint8_t seen_or[32] = {0};
	uint8_t seen_and[32];

	memset(seen_and, 0xff, sizeof(seen_and));
	for (size_t i = 0; i < DRAWS; i++) {
		struct ch_recipient_key *key;
		size_t len = 32;

		assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
		assert_int_equal(EVP_PKEY_get_raw_private_key(key->pkey, priv[i], &len), 1);
		ch_recipient_key_free(key);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(priv[i], priv[j], 32);
		for (size_t at = 0; at < 32; at++) {
			seen_or[at] |= priv[i][at];
			seen_and[at] &= priv[i][at];
		}
	}
	/* Every other bit has been both 0 and 1: by chance not, once in 2^55 runs. */
	for (size_t at = 0; at < 32; at++) {
		assert_int_equal(seen_or[at], at == 0 ? 0xf8 : at == 31 ? 0x7f : 0xff);
		assert_int_equal(seen_and[at], at == 31 ? 0x40 : 0);
	}
}

static void an_unknown_kind_of_recipient_key_is_not_made(void **state)
{
	struct ch_recipient_key *key = NULL;

	assert_int_equal(ch_recipient_key_generate((enum ch_kem)0x0011, &key), CH_EUNSUPPORTED);
	assert_null(key);
}

static void recipients_round_trip_as_text(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(kems); i++) {
		struct ch_recipient_key *key;
		struct ch_recipient back;
		char text[CH_RECIPIENT_TEXT_B];

		assert_int_equal(ch_recipient_key_generate(kems[i], &key), CH_OK);
		ch_recipient_print(&key->pub, text);
		assert_int_equal(ch_recipient_parse(text, &back), CH_OK);
		assert_int_equal(back.kem, kems[i]);
		assert_int_equal(back.pub_len, key->pub.pub_len);
		assert_memory_equal(back.pub, key->pub.pub, back.pub_len);
		assert_memory_equal(back.id, key->pub.id, sizeof(back.id));
		ch_recipient_key_free(key);
	}
}

static void altered_recipients_are_refused(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(kems); i++) {
		struct ch_recipient_key *key;
		struct ch_recipient back;
		char text[CH_RECIPIENT_TEXT_B];
		size_t len;

		assert_int_equal(ch_recipient_key_generate(kems[i], &key), CH_OK);
		ch_recipient_print(&key->pub, text);
		len = strlen(text);
		for (size_t at = 0; at < len; at++) {
			char was = text[at];

			text[at] = was == 'A' ? 'B' : 'A';
			assert_int_equal(ch_recipient_parse(text, &back), CH_EINVAL);
			text[at] = was;
		}
		text[len - 1] = 0;
		assert_int_equal(ch_recipient_parse(text, &back), CH_EINVAL);
		ch_recipient_key_free(key);
	}
}

static void recipient_points_off_the_curve_are_refused(void **state)
{
	uint8_t bytes[69] = {4, [64] = 1};
	uint8_t digest[CH_SHA256_B];
	char text[CH_RECIPIENT_TEXT_B] = "certherd-pub-p256-";
	struct ch_recipient back;

	assert_int_equal(ch_sha256(bytes, 65, digest), CH_OK);
	memcpy(bytes + 65, digest, 4);
	ch_b64u_encode(bytes, sizeof(bytes), text + strlen(text));
	assert_int_equal(ch_recipient_parse(text, &back), CH_EINVAL);
	assert_int_equal(ch_recipient_parse("", &back), CH_EINVAL);
	assert_int_equal(ch_recipient_parse("certherd-pub-x25519-", &back), CH_EINVAL);
}

static void recipient_keys_round_trip_through_their_file(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(kems); i++) {
		const char *name = i ? "p256.key" : "x25519.key";
		struct ch_recipient_key *key;
		struct ch_recipient_key *back;
		struct ch_err err;
		struct stat st;

		assert_int_equal(ch_recipient_key_generate(kems[i], &key), CH_OK);
		assert_int_equal(ch_recipient_key_create_file(key, path_of(name), &err), CH_OK);
		assert_int_equal(stat(path_of(name), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(
			ch_recipient_key_create_file(key, path_of(name), &err), CH_EEXIST);
		assert_int_equal(ch_recipient_key_load(path_of(name), &back, &err), CH_OK);
		assert_int_equal(EVP_PKEY_eq(key->pkey, back->pkey), 1);
		assert_memory_equal(&key->pub, &back->pub, sizeof(key->pub));
		ch_recipient_key_free(back);
		ch_recipient_key_free(key);
	}
}

#define SECRET_ONE "CERTHERD-SECRET-KEY-X25519-AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABxLof"

static void bad_recipient_key_files_are_refused(void **state)
{
	struct ch_recipient_key *key = NULL;
	struct ch_err err;

	assert_int_equal(ch_recipient_key_parse("", "f", &key, &err), CH_EINVAL);
	assert_int_equal(ch_recipient_key_parse("# only this\n", "f", &key, &err), CH_EINVAL);
	assert_int_equal(ch_recipient_key_parse("\n\nhello\n", "f", &key, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "f:3:"));
	assert_int_equal(ch_recipient_key_parse("CERTHERD-SECRET-KEY-P256-", "f", &key, &err),
		CH_EINVAL);
	assert_int_equal(ch_recipient_key_parse(SECRET_ONE "A\n", "f", &key, &err), CH_EINVAL);
	/* The secret must not be told again in the message. */
	assert_null(strstr(err.detail, "AQAAAA"));
	write_file("wide.key", "x\n", 0640 | 04);
	assert_int_equal(ch_recipient_key_load(path_of("wide.key"), &key, &err), CH_EAUTH);
	assert_null(key);
}

static void a_file_with_two_keys_is_refused(void **state)
{
	struct ch_recipient_key *key = NULL;
	struct ch_err err;
	char *text;
	size_t len;
	char twice[2048];

	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
	assert_int_equal(ch_recipient_key_create_file(key, path_of("one.key"), &err), CH_OK);
	ch_recipient_key_free(key);
	key = NULL;
	assert_int_equal(ch_file_read(path_of("one.key"), 1000, &text, &len, &err), CH_OK);
	snprintf(twice, sizeof(twice), "%s%s", text, text);
	free(text);
	assert_int_equal(ch_recipient_key_parse(twice, "f", &key, &err), CH_EINVAL);
	assert_null(key);
}

static void scalars_out_of_range_are_refused(void **state)
{
	uint8_t priv[32] = {0};
	struct ch_recipient_key *key = NULL;

	assert_int_equal(ch_recipient_key_from_bytes(CH_KEM_P256, priv, &key), CH_EINVAL);
	memset(priv, 0xff, sizeof(priv));
	assert_int_equal(ch_recipient_key_from_bytes(CH_KEM_P256, priv, &key), CH_EINVAL);
	assert_int_equal(
		ch_recipient_key_from_bytes((enum ch_kem)0x11, priv, &key), CH_EUNSUPPORTED);
	assert_int_equal(ch_recipient_key_generate((enum ch_kem)0x11, &key), CH_EUNSUPPORTED);
	assert_null(key);
}

static void recipients_files_load(void **state)
{
	struct ch_recipients list;
	struct ch_err err;
	struct ch_recipient_key *keys[CH_RECIPIENTS_MAX + 1];
	char text[CH_RECIPIENT_TEXT_B];
	char file[4096] = "# those who can open\n\n";

	for (size_t i = 0; i < CH_ARRAY_LEN(keys); i++) {
		assert_int_equal(ch_recipient_key_generate(kems[i % 2], &keys[i]), CH_OK);
		ch_recipient_print(&keys[i]->pub, text);
		if (i == CH_RECIPIENTS_MAX) {
			write_file("recipients", file, 0644);
			assert_int_equal(
				ch_recipients_load(path_of("recipients"), &list, &err), CH_OK);
			assert_int_equal(list.n, CH_RECIPIENTS_MAX);
			assert_memory_equal(list.list[7].id, keys[7]->pub.id, 8);
		}
		snprintf(file + strlen(file), sizeof(file) - strlen(file), "  %s \r\n", text);
	}
	assert_int_equal(ch_recipients_parse(file, "f", &list, &err), CH_ETOOBIG);
	for (size_t i = 0; i < CH_ARRAY_LEN(keys); i++)
		ch_recipient_key_free(keys[i]);
}

static void bad_recipients_files_are_refused(void **state)
{
	struct ch_recipients list;
	struct ch_err err;
	struct ch_recipient_key *key;
	char text[CH_RECIPIENT_TEXT_B];
	char file[600];

	assert_int_equal(ch_recipients_parse("", "f", &list, &err), CH_EINVAL);
	assert_int_equal(ch_recipients_parse("# nobody\n", "f", &list, &err), CH_EINVAL);
	assert_int_equal(ch_recipients_parse("#\nwho\n", "f", &list, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, "f:2:"));
	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
	ch_recipient_print(&key->pub, text);
	ch_recipient_key_free(key);
	snprintf(file, sizeof(file), "%s\n%s\n", text, text);
	assert_int_equal(ch_recipients_parse(file, "f", &list, &err), CH_EINVAL);
	assert_string_equal(err.problem, "recipient-twice");
	memset(file, 'x', sizeof(file) - 1);
	file[sizeof(file) - 1] = 0;
	assert_int_equal(ch_recipients_parse(file, "f", &list, &err), CH_ETOOBIG);
	write_file("open", text, 0664);
	assert_int_equal(ch_recipients_load(path_of("open"), &list, &err), CH_EAUTH);
	assert_int_equal(ch_recipients_load(path_of("none"), &list, &err), CH_ENOTFOUND);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_is_that_of_fips_180),
		cmocka_unit_test(each_generated_key_is_whole_and_its_own),
		cmocka_unit_test(a_key_block_round_trips),
		cmocka_unit_test(a_key_from_a_block_signs),
		cmocka_unit_test(bad_key_blocks_are_refused),
		cmocka_unit_test(other_kinds_of_keys_do_not_become_blocks),
		cmocka_unit_test(pem_files_round_trip_and_are_never_overwritten),
		cmocka_unit_test(unusable_pem_files_are_refused),
		cmocka_unit_test(recipient_keys_are_drawn_anew_and_clamped),
		cmocka_unit_test(an_unknown_kind_of_recipient_key_is_not_made),
		cmocka_unit_test(recipients_round_trip_as_text),
		cmocka_unit_test(altered_recipients_are_refused),
		cmocka_unit_test(recipient_points_off_the_curve_are_refused),
		cmocka_unit_test(recipient_keys_round_trip_through_their_file),
		cmocka_unit_test(bad_recipient_key_files_are_refused),
		cmocka_unit_test(a_file_with_two_keys_is_refused),
		cmocka_unit_test(scalars_out_of_range_are_refused),
		cmocka_unit_test(recipients_files_load),
		cmocka_unit_test(bad_recipients_files_are_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
