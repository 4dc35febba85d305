/* A certificate with its key, as it is told the store. */
#ifndef CH_ISSUERD_ADOPT_ITEM_H
#define CH_ISSUERD_ADOPT_ITEM_H

#include "issuerd/adopt.h"

struct ch_adopt_material;

/* The certificate and its chain, without the key.  The caller frees it. */
CH_MUST int ch_adopt_material_load(struct ch_adopt *a, unsigned who,
	const struct ch_adopt_cert *cert, struct ch_adopt_material **ret_material,
	struct ch_err *err);
/* Reads the key, which from then on is held as a key block in a secret, and nowhere else. */
CH_MUST int ch_adopt_material_seal(struct ch_adopt *a, unsigned who,
	const struct ch_adopt_cert *cert, struct ch_adopt_material *material,
	struct ch_err *err);
void ch_adopt_material_free(struct ch_adopt_material *material); /* NULL allowed */
bool ch_adopt_material_has_key(const struct ch_adopt_material *material);
const struct ch_adopt_leaf *ch_adopt_material_leaf(const struct ch_adopt_material *material);
const struct ch_cert_info *ch_adopt_material_info(const struct ch_adopt_material *material);

/* An item that asks; NULL: out of memory. */
json_t *ch_adopt_item_ask(
	const struct ch_adopt_material *material, const char *name, bool second);

struct ch_adopt_for {
	const char *const *names;
	size_t n_names;
	uint64_t version;
	bool second;
	int ca; /* as ch_adopt.ca */
};
/* An item that makes it live, with the key sealed to each recipient for each name and the
 * records signed. */
CH_MUST int ch_adopt_item_publish(struct ch_issuer *issuer,
	const struct ch_recipients *recipients, const struct ch_adopt_material *material,
	const struct ch_adopt_for *what, json_t **ret_item, size_t *ret_size_b,
	struct ch_err *err);

#endif
