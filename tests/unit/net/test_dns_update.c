/* Signed updates of the DNS.  The vectors were made with dnspython, which is no kin of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/mem.h"
#include "net/dns_update.h"

#define NOW_S INT64_C(1800000000)

static const char add_mac[] =
	"eae76a07d50a05880bb79e5bbc3b6126b081f57d8c0dd37a8c5b1fdb7b17056b";
static const char remove_mac[] =
	"bfbc4ee128527be8ee7463d1ac8ec572b95716f0916855a1d73e14e21ede89f3";
static const char add_body[] =
	"1234280000010000000100000461636d6508706c6174666f726d076578616d706c650000060001"
	"0473686f700461636d6508706c6174666f726d076578616d706c6500001000010000003c000a09"
	"6162632d5f31323334";
/* Of another update: an answer depends on its request's MAC only. */
static const char asked_mac[] =
	"d5c90c5212a4b0c507e4dae959a943833f538d4ce39f5d10be0fe05f1865a21c";
static const char good[] =
	"1234a80000010000000000010461636d6508706c6174666f726d076578616d706c650000060001"
	"0863657274686572640000fa00ff00000000003d0b686d61632d7368613235360000006b49d200"
	"012c0020b107e001715b6ab1b659f02719ce4fb05d2bbede0cb1f0a9fe3d44e52ef50944123400"
	"000000";
static const char refused[] =
	"1234a80500010000000000010461636d6508706c6174666f726d076578616d706c650000060001"
	"0863657274686572640000fa00ff00000000003d0b686d61632d7368613235360000006b49d200"
	"012c00206340551a9227466894cfee8639d252bdd544dbc32a4643ba91bf16961201c47c123400"
	"000000";

static struct ch_tsig_key key;
static struct ch_tsig_mac asked;

static const struct ch_dns_update update = {.id = 0x1234,
	.zone = "acme.platform.example",
	.owner = "shop.acme.platform.example",
	.value = "abc-_1234",
	.ttl_s = 60,
	.now_s = NOW_S};

static size_t from_hex(const char *text, uint8_t *ret_bytes)
{
	size_t len = strlen(text) / 2;

	assert_int_equal(ch_hex_decode(text, ret_bytes, len), CH_OK);
	return len;
}

static int set_up(void **state)
{
	uint8_t secret[32];

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	strcpy(key.name, "certherd");
	key.algorithm = CH_TSIG_SHA256;
	asked.len = from_hex(asked_mac, asked.bytes);
	return ch_secret_from(secret, sizeof(secret), &key.secret);
}

static int tear_down(void **state)
{
	ch_secret_free(key.secret);
	return 0;
}

static void check_request(const struct ch_dns_update *what, const char *mac_text)
{
	CH_AUTO_BUF struct ch_buf out;
	struct ch_tsig_mac mac;
	uint8_t wanted[64];

	ch_buf_init(&out, 1000);
	assert_int_equal(ch_dns_update_build(what, &key, &out, &mac), CH_OK);
	assert_int_equal(mac.len, from_hex(mac_text, wanted));
	assert_memory_equal(mac.bytes, wanted, mac.len);
}

static void requests_are_signed_as_others_sign_them(void **state)
{
	struct ch_dns_update removal = update;

	removal.remove = true;
	check_request(&update, add_mac);
	check_request(&removal, remove_mac);
}

static void a_request_is_the_change_and_the_signature(void **state)
{
	CH_AUTO_BUF struct ch_buf out;
	struct ch_tsig_mac mac;
	uint8_t body[200];
	size_t len = from_hex(add_body, body);

	ch_buf_init(&out, 1000);
	assert_int_equal(ch_dns_update_build(&update, &key, &out, &mac), CH_OK);
	assert_true(out.len > len);
	body[11] = 1; /* the signature is counted */
	assert_memory_equal(out.data, body, len);
}

/* Whole messages of dnspython, which are as ours where nothing can be compressed: the zone is
 * the root. */
static const struct {
	enum ch_tsig_algorithm algorithm;
	const char *request;
	const char *answer;
} known[] = {
	{CH_TSIG_SHA384,
		"12342800000100000001000100000600010f5f61636d652d6368616c6c656e6765076578"
		"616d706c6503636f6d00001000010000003c002c2b4c6f71586359563871354f4e624a51"
		"78626d52375343544e6f337469415844666f77796a78416a457558300863657274686572"
		"64036b65790000fa00ff00000000004d0b686d61632d7368613338340000006b49d20001"
		"2c0030c389b6a2bc43dd8e5348dc9eca068e45837f0be2e52841b564f0a3a2b2dab8efc4"
		"e651a05db5a9f2a7389c2a4f02090e123400000000",
		"1234a80000010000000000010000060001086365727468657264036b65790000fa00ff00"
		"000000004d0b686d61632d7368613338340000006b49d200012c00306f86101c6a0e099f"
		"923851097adbcd4af9ad4c6e7a48ebce5e3c2478dd4643e4a5ecbfa1091fdace97831636"
		"6a2055d0123400000000"},
	{CH_TSIG_SHA512,
		"12342800000100000001000100000600010f5f61636d652d6368616c6c656e6765076578"
		"616d706c6503636f6d00001000010000003c002c2b4c6f71586359563871354f4e624a51"
		"78626d52375343544e6f337469415844666f77796a78416a457558300863657274686572"
		"64036b65790000fa00ff00000000005d0b686d61632d7368613531320000006b49d20001"
		"2c00405f0af2ddc4d2d3f9b3a66791843f064ed3c65564c84e93ccb2714dd8b73e7da4de"
		"317c212e86a4e9962dcf7a67f4b5b554e6738db1a7bdae3490f4c95ac16e7c1234000000"
		"00",
		"1234a80000010000000000010000060001086365727468657264036b65790000fa00ff00"
		"000000005d0b686d61632d7368613531320000006b49d200012c0040b3ddd8f33aadc79d"
		"8771ca44233ffc698bfb652013dd121acf2ad3e9b192bc626ac62c4587300e09846b379e"
		"65701a96f10567b2f614e7d75eeea58313e9f255123400000000"},
};

static void longer_algorithms_too(void **state)
{
	struct ch_dns_update root = {.id = 0x1234,
		.zone = "",
		.owner = "_acme-challenge.Example.com.",
		.value = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
		.ttl_s = 60,
		.now_s = NOW_S};
	struct ch_tsig_key other = {.name = "Certherd.key", .secret = key.secret};

	for (size_t i = 0; i < CH_ARRAY_LEN(known); i++) {
		CH_AUTO_BUF struct ch_buf out;
		struct ch_tsig_mac mac;
		struct ch_err err;
		uint8_t bytes[512];
		size_t len = from_hex(known[i].request, bytes);

		other.algorithm = known[i].algorithm;
		ch_buf_init(&out, 1000);
		assert_int_equal(ch_dns_update_build(&root, &other, &out, &mac), CH_OK);
		assert_int_equal(out.len, len);
		assert_memory_equal(out.data, bytes, len);
		len = from_hex(known[i].answer, bytes);
		assert_int_equal(
			ch_dns_update_read(bytes, len, &root, &other, &mac, &err), CH_OK);
		/* Another algorithm than that of the key. */
		other.algorithm = CH_TSIG_SHA256;
		assert_int_equal(
			ch_dns_update_read(bytes, len, &root, &other, &mac, &err), CH_EPROTO);
	}
}

static void what_is_no_value_is_not_asked_for(void **state)
{
	CH_AUTO_BUF struct ch_buf out;
	char value[CH_DNS_VALUE_MAX + 2];
	struct ch_dns_update bad = update;
	struct ch_tsig_mac mac;

	ch_buf_init(&out, 1000);
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = 0;
	bad.value = value;
	assert_int_equal(ch_dns_update_build(&bad, &key, &out, &mac), CH_EINVAL);
	bad.value = "";
	assert_int_equal(ch_dns_update_build(&bad, &key, &out, &mac), CH_EINVAL);
	bad = update;
	bad.owner = "a..b";
	assert_int_equal(ch_dns_update_build(&bad, &key, &out, &mac), CH_EINVAL);
}

static int read_bytes(const uint8_t *bytes, size_t len, struct ch_err *err)
{
	return ch_dns_update_read(bytes, len, &update, &key, &asked, err);
}

static void a_signed_answer_is_believed(void **state)
{
	uint8_t bytes[200];
	size_t len = from_hex(good, bytes);
	struct ch_err err;

	assert_int_equal(read_bytes(bytes, len, &err), CH_OK);
}

/* Names are signed in lower case, and class and TTL of the signature are what they must be,
 * whatever is written. */
static bool is_covered(size_t bit)
{
	size_t at = bit / 8;
	bool in_name = (at > 39 && at < 48) || (at > 59 && at < 64) || (at > 64 && at < 68);

	return !(in_name && bit % 8 == 5) && !(at >= 51 && at < 57);
}

static void an_answer_that_was_changed_anywhere_is_not(void **state)
{
	uint8_t bytes[200];
	size_t len = from_hex(good, bytes);
	struct ch_err err;

	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (is_covered(bit))
			assert_int_not_equal(read_bytes(bytes, len, &err), CH_OK);
		else
			assert_int_equal(read_bytes(bytes, len, &err), CH_OK);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(read_bytes(bytes, cut, &err), CH_EPROTO);
	bytes[len] = 0;
	assert_int_equal(read_bytes(bytes, len + 1, &err), CH_EPROTO);
}

static void an_answer_to_another_request_is_not(void **state)
{
	struct ch_tsig_mac other = asked;
	uint8_t bytes[200];
	size_t len = from_hex(good, bytes);
	struct ch_err err;

	other.bytes[0] ^= 1;
	assert_int_equal(
		ch_dns_update_read(bytes, len, &update, &key, &other, &err), CH_EPROTO);
	assert_string_equal(err.problem, "dns-update-answer");
}

static void an_old_answer_is_not(void **state)
{
	struct ch_dns_update later = update;
	uint8_t bytes[200];
	size_t len = from_hex(good, bytes);
	struct ch_err err;

	later.now_s += 300;
	assert_int_equal(ch_dns_update_read(bytes, len, &later, &key, &asked, &err), CH_OK);
	later.now_s++;
	assert_int_equal(ch_dns_update_read(bytes, len, &later, &key, &asked, &err), CH_EPROTO);
}

static void check_refusal(uint8_t rcode, uint8_t tsig_error, int rc, const char *code)
{
	uint8_t bytes[200];
	size_t len = from_hex(refused, bytes);
	struct ch_err err;

	bytes[3] = (uint8_t)((bytes[3] & 0xf0) | rcode);
	bytes[len - 3] = tsig_error;
	assert_int_equal(read_bytes(bytes, len, &err), rc);
	assert_string_equal(err.problem, code);
}

static void refusals_say_what_to_look_at(void **state)
{
	check_refusal(5, 0, CH_EAUTH, "dns-update-refused");
	check_refusal(10, 0, CH_EAUTH, "dns-update-refused");
	check_refusal(9, 0, CH_EAUTH, "dns-update-refused");
	check_refusal(9, 16, CH_EAUTH, "dns-update-key");
	check_refusal(9, 17, CH_EAUTH, "dns-update-key");
	check_refusal(9, 18, CH_EAUTH, "dns-update-clock");
	check_refusal(2, 0, CH_EAGAIN, "dns-update-failed");
}

static void an_answer_without_a_signature_changes_nothing(void **state)
{
	uint8_t bytes[200];
	struct ch_err err;

	from_hex(good, bytes);
	bytes[11] = 0;
	assert_int_equal(read_bytes(bytes, 39, &err), CH_EPROTO);
	assert_string_equal(err.problem, "dns-update-answer");
}

static int read_secret(const char *text, mode_t mode, struct ch_err *err)
{
	char path[] = "/tmp/certherd-tsig-XXXXXX";
	CH_AUTO_SECRET struct ch_secret *secret = NULL;
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	rc = ch_tsig_secret_read(path, &secret, err);
	unlink(path);
	if (rc == CH_OK)
		assert_int_equal(ch_secret_len(secret), 16);
	return rc;
}

static void a_secret_is_in_a_file_that_nobody_else_reads(void **state)
{
	struct ch_err err;

	assert_int_equal(read_secret("AAECAwQFBgcICQoLDA0ODw==\n", 0600, &err), CH_OK);
	assert_int_not_equal(read_secret("AAECAwQFBgcICQoLDA0ODw==\n", 0644, &err), CH_OK);
	assert_int_equal(read_secret("AAECAwQFBgcICQoLDA0O\n", 0600, &err), CH_EINVAL);
	assert_int_equal(read_secret("no base64 at all, this", 0600, &err), CH_EINVAL);
	assert_null(strstr(err.detail, "no base64 at"));
	assert_int_not_equal(read_secret("", 0600, &err), CH_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_signed_as_others_sign_them),
		cmocka_unit_test(a_request_is_the_change_and_the_signature),
		cmocka_unit_test(longer_algorithms_too),
		cmocka_unit_test(what_is_no_value_is_not_asked_for),
		cmocka_unit_test(a_signed_answer_is_believed),
		cmocka_unit_test(an_answer_that_was_changed_anywhere_is_not),
		cmocka_unit_test(an_answer_to_another_request_is_not),
		cmocka_unit_test(an_old_answer_is_not),
		cmocka_unit_test(refusals_say_what_to_look_at),
		cmocka_unit_test(an_answer_without_a_signature_changes_nothing),
		cmocka_unit_test(a_secret_is_in_a_file_that_nobody_else_reads),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
