/* Times the opening of sealed keys.  One line of JSON a round, microseconds of this thread's
 * CPU time for one operation; within a round the operations take turns, so that what else the
 * machine does weighs on all of them alike:
 *
 *   rsa               RSA-2048-OAEP, then AES-256-GCM with the key that was inside
 *   x25519, p256      HPKE (ch_hpke_open), by the kind of the recipient's key
 *   x25519_dh, p256_dh  the key agreement alone, contexts and peer prepared: what cannot be
 * saved load              the opened block into an EVP_PKEY (ch_key_from_block)
 *
 * usage: sealtime ROUNDS OPENS */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"

#define RSA_CT_B 256
#define GCM_IV_B 12
#define GCM_TAG_B 16
#define TURN 20 /* operations in a row */

static const uint8_t info[] = CH_SEAL_INFO;
static const uint8_t aad[] = "as long as that of a sealed key: label, name, version and digest";

struct rsa_sealed {
	EVP_PKEY *key;
	uint8_t wrapped[RSA_CT_B];
	uint8_t ct[CH_KEY_BLOCK_B];
	uint8_t tag[GCM_TAG_B];
};

struct hpke_sealed {
	struct ch_recipient_key *key;
	uint8_t enc[CH_SEAL_ENC_MAX_B];
	size_t enc_len;
	uint8_t ct[CH_KEY_BLOCK_B + CH_SEAL_TAG_B];
};

static void must(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "sealtime: %s failed\n", what);
		exit(1);
	}
}

static EVP_PKEY_CTX *oaep(EVP_PKEY *key, int encrypt)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	must(ctx != NULL, "EVP_PKEY_CTX_new");
	must((encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) > 0, "init");
	must(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0, "padding");
	return ctx;
}

/* Every sealed block has its own key, so the IV may be constant. */
static void gcm(const uint8_t key[32], int encrypt, const uint8_t *in, uint8_t *out,
	uint8_t tag[GCM_TAG_B])
{
	static const uint8_t iv[GCM_IV_B];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	must(ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, encrypt) > 0,
		"AES-GCM");
	must(EVP_CipherUpdate(ctx, out, &len, in, CH_KEY_BLOCK_B) > 0, "AES-GCM update");
	if (!encrypt)
		must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, GCM_TAG_B, tag) > 0, "tag");
	must(EVP_CipherFinal_ex(ctx, out + len, &len) > 0, "AES-GCM final");
	if (encrypt)
		must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, GCM_TAG_B, tag) > 0, "tag");
	EVP_CIPHER_CTX_free(ctx);
}

static void rsa_seal(const uint8_t *block, struct rsa_sealed *ret_sealed)
{
	uint8_t content_key[32];
	size_t len = sizeof(ret_sealed->wrapped);
	EVP_PKEY_CTX *ctx;

	ret_sealed->key = EVP_RSA_gen(2048);
	must(ret_sealed->key && RAND_bytes(content_key, sizeof(content_key)) > 0, "RSA key");
	ctx = oaep(ret_sealed->key, 1);
	must(EVP_PKEY_encrypt(
		     ctx, ret_sealed->wrapped, &len, content_key, sizeof(content_key)) > 0,
		"RSA-OAEP encrypt");
	EVP_PKEY_CTX_free(ctx);
	gcm(content_key, 1, block, ret_sealed->ct, ret_sealed->tag);
}

static void rsa_open(void *arg)
{
	struct rsa_sealed *sealed = arg;
	uint8_t content_key[RSA_CT_B], block[CH_KEY_BLOCK_B];
	size_t len = sizeof(content_key);
	EVP_PKEY_CTX *ctx = oaep(sealed->key, 0);

	must(EVP_PKEY_decrypt(ctx, content_key, &len, sealed->wrapped, RSA_CT_B) > 0,
		"RSA-OAEP decrypt");
	EVP_PKEY_CTX_free(ctx);
	gcm(content_key, 0, sealed->ct, block, sealed->tag);
}

static void hpke_seal(enum ch_kem kem, const uint8_t *block, struct hpke_sealed *ret_sealed)
{
	must(ch_recipient_key_generate(kem, &ret_sealed->key) == 0, "recipient key");
	must(ch_hpke_seal(&ret_sealed->key->pub, info, sizeof(info) - 1, aad, sizeof(aad),
		     block, CH_KEY_BLOCK_B, ret_sealed->enc, &ret_sealed->enc_len,
		     ret_sealed->ct) == 0,
		"ch_hpke_seal");
}

static void hpke_open(void *arg)
{
	struct hpke_sealed *sealed = arg;
	uint8_t block[CH_KEY_BLOCK_B];

	must(ch_hpke_open(sealed->key, sealed->enc, sealed->enc_len, info, sizeof(info) - 1,
		     aad, sizeof(aad), sealed->ct, sizeof(sealed->ct), block) == 0,
		"ch_hpke_open");
}

static EVP_PKEY_CTX *agreement(EVP_PKEY *mine, EVP_PKEY *peer)
{
	EVP_PKEY_CTX *ctx = mine ? EVP_PKEY_CTX_new(mine, NULL) : NULL;

	must(ctx && peer && EVP_PKEY_derive_init(ctx) > 0 &&
			EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) > 0,
		"key agreement");
	EVP_PKEY_free(mine);
	EVP_PKEY_free(peer);
	return ctx;
}

static void agree(void *arg)
{
	uint8_t secret[32];
	size_t len = sizeof(secret);

	must(EVP_PKEY_derive(arg, secret, &len) > 0, "EVP_PKEY_derive");
}

static void load(void *arg)
{
	EVP_PKEY *leaf = NULL;

	must(ch_key_from_block(arg, CH_KEY_BLOCK_B, &leaf) == 0, "ch_key_from_block");
	EVP_PKEY_free(leaf);
}

struct contender {
	const char *label;
	void (*run)(void *arg);
	void *arg;
	double ns;
};

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void take_turn(struct contender *c)
{
	double begin = cpu_ns();

	for (int i = 0; i < TURN; i++)
		c->run(c->arg);
	c->ns += cpu_ns() - begin;
}

static void run_round(struct contender *all, size_t n, long turns)
{
	for (size_t i = 0; i < n; i++)
		all[i].ns = 0;
	for (long turn = 0; turn < turns; turn++)
		for (size_t i = 0; i < n; i++)
			take_turn(&all[i]);
	for (size_t i = 0; i < n; i++)
		printf("%s\"%s\": %.2f", i ? ", " : "{", all[i].label,
			all[i].ns / 1e3 / TURN / (double)turns);
	printf("}\n");
}

int main(int argc, char **argv)
{
	long rounds = argc == 3 ? atol(argv[1]) : 0;
	long turns = argc == 3 ? atol(argv[2]) / TURN : 0;
	EVP_PKEY *leaf = NULL;
	struct ch_secret *block = NULL;
	struct rsa_sealed rsa;
	struct hpke_sealed x25519, p256;

	must(rounds > 0 && turns > 0, "usage: sealtime ROUNDS OPENS:");
	must(ch_key_generate(&leaf) == 0 && ch_key_to_block(leaf, &block) == 0, "leaf key");
	rsa_seal(ch_secret_bytes(block), &rsa);
	hpke_seal(CH_KEM_X25519, ch_secret_bytes(block), &x25519);
	hpke_seal(CH_KEM_P256, ch_secret_bytes(block), &p256);
	EVP_PKEY_CTX *x25519_dh = agreement(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519"));
	EVP_PKEY_CTX *p256_dh = agreement(EVP_EC_gen("P-256"), EVP_EC_gen("P-256"));
	struct contender all[] = {{"rsa", rsa_open, &rsa, 0}, {"x25519", hpke_open, &x25519, 0},
		{"p256", hpke_open, &p256, 0}, {"x25519_dh", agree, x25519_dh, 0},
		{"p256_dh", agree, p256_dh, 0}, {"load", load, ch_secret_bytes(block), 0}};

	for (long round = 0; round < rounds; round++)
		run_round(all, CH_ARRAY_LEN(all), turns);
	EVP_PKEY_CTX_free(x25519_dh);
	EVP_PKEY_CTX_free(p256_dh);
	EVP_PKEY_free(rsa.key);
	EVP_PKEY_free(leaf);
	ch_secret_free(block);
	ch_recipient_key_free(x25519.key);
	ch_recipient_key_free(p256.key);
	return 0;
}
