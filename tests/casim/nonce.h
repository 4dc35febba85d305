/* Nonces: each good for one request, forgotten after their time (RFC 8555 section 6.5). */
#ifndef CASIM_NONCE_H
#define CASIM_NONCE_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NONCE_B 32

struct sim_nonces;
struct sim_nonces *sim_nonces_new(void);
void sim_nonce_make(struct sim_nonces *nonces, int64_t now_ms, char ret_nonce[SIM_NONCE_B]);
/* True once for each that was made in the last life_ms. */
bool sim_nonce_use(
	struct sim_nonces *nonces, const char *nonce, int64_t now_ms, int64_t life_ms);
/* All that were made are bad from now on. */
void sim_nonces_forget(struct sim_nonces *nonces);

#endif
