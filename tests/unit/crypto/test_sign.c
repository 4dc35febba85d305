#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/sign.h"

#define LABEL "certherd record v1"
#define TEXT ((const uint8_t *)"a record")
#define TEXT_B 8

static char dir[] = "/tmp/certherd-test-sign-XXXXXX";
static char key_path[64];
static struct ch_sign_key *key;
static char public_line[160];

static int make_key(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/signing.key", dir);
	return ch_sign_key_create(key_path, NULL) || ch_sign_key_load(key_path, &key, NULL) ||
	       ch_sign_key_print_public(key, public_line);
}

static int remove_key(void **state)
{
	char command[128];

	ch_sign_key_free(key);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void a_signature_verifies_with_the_pinned_key(void **state)
{
	struct ch_verify_set *set;
	uint8_t sig[64];

	assert_int_equal(ch_verify_set_parse(public_line, &set, NULL), CH_OK);
	for (int i = 0; i < 50; i++) { /* r or s with leading zeros among them */
		assert_int_equal(ch_sign(key, LABEL, TEXT, TEXT_B, sig), CH_OK);
		assert_int_equal(
			ch_verify(set, ch_sign_key_id(key), LABEL, TEXT, TEXT_B, sig), CH_OK);
	}
	ch_verify_set_free(set);
}

static void altered_signatures_texts_and_labels_are_refused(void **state)
{
	struct ch_verify_set *set;
	const uint8_t *id = ch_sign_key_id(key);
	uint8_t sig[64];
	uint8_t other_id[8];

	assert_int_equal(ch_verify_set_parse(public_line, &set, NULL), CH_OK);
	assert_int_equal(ch_sign(key, LABEL, TEXT, TEXT_B, sig), CH_OK);
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 0x10;
		assert_int_equal(ch_verify(set, id, LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
		sig[i] ^= 0x10;
	}
	assert_int_equal(ch_verify(set, id, LABEL, TEXT, TEXT_B - 1, sig), CH_EAUTH);
	assert_int_equal(ch_verify(set, id, "certherd record v2", TEXT, TEXT_B, sig), CH_EAUTH);
	assert_int_equal(
		ch_verify(set, id, "certherd record v1a", TEXT + 1, TEXT_B - 1, sig), CH_EAUTH);
	memcpy(other_id, id, sizeof(other_id));
	other_id[7] ^= 1;
	assert_int_equal(ch_verify(set, other_id, LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
	memset(sig, 0, sizeof(sig));
	assert_int_equal(ch_verify(set, id, LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
	memset(sig, 0xff, sizeof(sig));
	assert_int_equal(ch_verify(set, id, LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
	ch_verify_set_free(set);
}

static void another_key_with_a_stolen_id_is_refused(void **state)
{
	char other_path[80];
	struct ch_sign_key *other;
	struct ch_verify_set *set;
	uint8_t sig[64];

	snprintf(other_path, sizeof(other_path), "%s/other.key", dir);
	assert_int_equal(ch_sign_key_create(other_path, NULL), CH_OK);
	assert_int_equal(ch_sign_key_load(other_path, &other, NULL), CH_OK);
	assert_int_equal(ch_verify_set_parse(public_line, &set, NULL), CH_OK);
	assert_int_equal(ch_sign(other, LABEL, TEXT, TEXT_B, sig), CH_OK);
	assert_int_equal(
		ch_verify(set, ch_sign_key_id(key), LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
	assert_int_equal(
		ch_verify(set, ch_sign_key_id(other), LABEL, TEXT, TEXT_B, sig), CH_EAUTH);
	ch_verify_set_free(set);
	ch_sign_key_free(other);
}

static void signers_files_load(void **state)
{
	struct ch_verify_set *set;
	struct ch_err err;
	char path[80];
	char text[400];

	snprintf(path, sizeof(path), "%s/signers", dir);
	snprintf(text, sizeof(text), "# pinned\n\n%s\n", public_line);
	assert_int_equal(ch_file_write_atomic(path, text, strlen(text), 0644, &err), CH_OK);
	assert_int_equal(ch_verify_set_load(path, &set, &err), CH_OK);
	ch_verify_set_free(set);
	assert_int_equal(ch_file_write_atomic(path, text, strlen(text), 0622, &err), CH_OK);
	assert_int_equal(ch_verify_set_load(path, &set, &err), CH_EAUTH);
	assert_int_equal(ch_file_write_atomic(path, "# none\n", 7, 0644, &err), CH_OK);
	assert_int_equal(ch_verify_set_load(path, &set, &err), CH_EINVAL);
	assert_non_null(strstr(err.detail, path));
}

static void bad_signers_are_refused(void **state)
{
	struct ch_verify_set *set = NULL;
	struct ch_err err;
	char text[200 * 9] = "";

	for (size_t at = 0; at < strlen(public_line); at++) {
		snprintf(text, sizeof(text), "%s", public_line);
		text[at] = text[at] == 'A' ? 'B' : 'A';
		assert_int_equal(ch_verify_set_parse(text, &set, &err), CH_EINVAL);
	}
	text[0] = 0;
	for (int i = 0; i < 9; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n", public_line);
	assert_int_equal(ch_verify_set_parse(text, &set, &err), CH_ETOOBIG);
	assert_null(set);
}

static void signing_keys_of_another_kind_are_refused(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *p384 = EVP_EC_gen("P-384");
	struct ch_sign_key *other = NULL;
	struct ch_err err;
	char path[80];

	snprintf(path, sizeof(path), "%s/p384.key", dir);
	assert_int_equal(ch_key_create_pem(path, p384, &err), CH_OK);
	assert_int_equal(ch_sign_key_load(path, &other, &err), CH_EINVAL);
	assert_int_equal(ch_sign_key_create(key_path, &err), CH_EEXIST);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_verifies_with_the_pinned_key),
		cmocka_unit_test(altered_signatures_texts_and_labels_are_refused),
		cmocka_unit_test(another_key_with_a_stolen_id_is_refused),
		cmocka_unit_test(signers_files_load),
		cmocka_unit_test(bad_signers_are_refused),
		cmocka_unit_test(signing_keys_of_another_kind_are_refused),
	};

	return cmocka_run_group_tests(tests, make_key, remove_key);
}
