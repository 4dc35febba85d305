/* Nothing of a leaf key stays in memory: looked for in this very process, in all of it, right
 * after the key was made, used and freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "crypto/x509.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

#define SCALAR_B 32
#define WINDOW_B 8
#define MASK 0x5a

static const char *const names[] = {"shop.example.com"};
static uint8_t masked[SCALAR_B]; /* what is looked for, so that this is not it */
static struct ch_recipient_key *recipient;

static int make_recipient(void **state)
{
	return ch_recipient_key_generate(CH_KEM_X25519, &recipient);
}

static int free_recipient(void **state)
{
	ch_recipient_key_free(recipient);
	return 0;
}

/* Any 8 bytes of it, as they are or in the order of OpenSSL's limbs. */
static bool is_part(const uint8_t *at)
{
	for (size_t part = 0; part < SCALAR_B; part += WINDOW_B) {
		bool be = true;
		bool le = true;

		for (size_t i = 0; i < WINDOW_B && (be || le); i++) {
			be = be && (at[i] ^ MASK) == masked[part + i];
			le = le && (at[i] ^ MASK) == masked[SCALAR_B - 1 - part - i];
		}
		if (be || le)
			return true;
	}
	return false;
}

static unsigned search(int fd, uint64_t from, uint64_t to)
{
	static uint8_t chunk[1 << 16];
	unsigned hits = 0;

	while (from < to) {
		size_t want = to - from < sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, (off_t)from);

		if (got < WINDOW_B)
			break;
		for (size_t i = 0; i + WINDOW_B <= (size_t)got; i++)
			hits += is_part(chunk + i);
		from += (uint64_t)got > WINDOW_B ? (uint64_t)got - WINDOW_B + 1 : WINDOW_B;
	}
	memset(chunk, 0, sizeof(chunk));
	return hits;
}

static unsigned hits_in_memory(void)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned hits = 0;
	char line[4096];

	assert_true(fd >= 0);
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uint64_t from;
		uint64_t to;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 &&
			!strstr(line, "[v"))
			hits += search(fd, from, to);
	}
	fclose(maps);
	close(fd);
	return hits;
}

/* As the issuer does; *ret_sealed is what the edge gets. */
static unsigned make_and_seal(const struct ch_seal_binding *binding, bool rsa,
	uint8_t spki[CH_SHA256_B], struct ch_sealed *sealed)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	CH_AUTO_BUF struct ch_buf csr;

	ch_buf_init(&csr, 8192);
	assert_int_equal(rsa ? ch_key_generate_rsa(2048, &key) : ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_csr_make(key, names, 1, &csr), CH_OK);
	assert_int_equal(ch_key_spki_sha256(key, spki), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	for (size_t i = 0; i < SCALAR_B; i++)
		masked[i] = ch_secret_bytes(block)[(rsa ? 5 : 1) + i] ^ MASK;
	assert_int_equal(ch_seal_key(&recipient->pub, binding, block, sealed), CH_OK);
	return hits_in_memory();
}

static unsigned open_it(const struct ch_seal_binding *binding, const struct ch_sealed *sealed)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;

	assert_int_equal(ch_seal_open_key(recipient, binding, sealed->enc, sealed->enc_len,
				 sealed->ct, sealed->ct_len, &key),
		CH_OK);
	return hits_in_memory();
}

static void come_and_go(bool rsa)
{
	uint8_t spki[CH_SHA256_B];
	struct ch_seal_binding binding = {.name = names[0],
		.name_len = strlen(names[0]),
		.key_version = 1,
		.spki_sha256 = spki};
	struct ch_sealed sealed;

	if (SANITIZED) /* its shadow memory is larger than anybody can read */
		skip();
	for (int i = 0; i < 3; i++) {
		assert_true(make_and_seal(&binding, rsa, spki, &sealed) >= 8);
		assert_int_equal(hits_in_memory(), 0);
		assert_true(open_it(&binding, &sealed) >= 4);
		assert_int_equal(hits_in_memory(), 0);
	}
}

static void a_key_is_in_memory_while_it_is_used_and_no_longer(void **state)
{
	come_and_go(false);
}

static void nor_does_a_prime_of_an_rsa_key_stay(void **state)
{
	come_and_go(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_in_memory_while_it_is_used_and_no_longer),
		cmocka_unit_test(nor_does_a_prime_of_an_rsa_key_stay),
	};

	return cmocka_run_group_tests(tests, make_recipient, free_recipient);
}
