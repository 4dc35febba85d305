#include "nonce.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/codec.h"
#include "sim.h"

/* So many of the newest are remembered. */
#define WINDOW (1u << 18)
#define SECRET_B 12

struct nonce {
	uint64_t number; /* of the one that the place belongs to now; 0: used, or nobody's */
	int64_t made_ms;
	uint8_t secret[SECRET_B];
};

struct sim_nonces {
	uint64_t last;
	struct nonce ring[WINDOW];
};

struct wire {
	uint64_t number;
	uint8_t secret[SECRET_B];
} __attribute__((packed));

struct sim_nonces *sim_nonces_new(void)
{
	struct sim_nonces *nonces = calloc(1, sizeof(*nonces));

	SIM_NEED(nonces);
	return nonces;
}

void sim_nonce_make(struct sim_nonces *nonces, int64_t now_ms, char ret_nonce[SIM_NONCE_B])
{
	struct nonce *place = &nonces->ring[++nonces->last % WINDOW];
	struct wire wire = {.number = nonces->last};

	SIM_NEED(RAND_bytes(wire.secret, sizeof(wire.secret)) == 1);
	place->number = wire.number;
	place->made_ms = now_ms;
	memcpy(place->secret, wire.secret, SECRET_B);
	ch_b64u_encode(&wire, sizeof(wire), ret_nonce);
}

bool sim_nonce_use(
	struct sim_nonces *nonces, const char *nonce, int64_t now_ms, int64_t life_ms)
{
	struct wire wire;
	struct nonce *place;
	size_t len;

	if (!nonce ||
		ch_b64u_decode(nonce, strlen(nonce), (uint8_t *)&wire, sizeof(wire), &len) ||
		len != sizeof(wire) || wire.number == 0)
		return false;
	place = &nonces->ring[wire.number % WINDOW];
	if (place->number != wire.number ||
		CRYPTO_memcmp(place->secret, wire.secret, SECRET_B) != 0)
		return false;
	place->number = 0;
	return now_ms - place->made_ms <= life_ms;
}

void sim_nonces_forget(struct sim_nonces *nonces)
{
	memset(nonces->ring, 0, sizeof(nonces->ring));
}
