#include "issuerd/sealed.h"

#include <string.h>

#define MAGIC "CHS2"
#define LABEL "certherd order v1"
#define SIGNED_MAX_B (64u * 1024u)

static int add_copy(const struct ch_recipient *to, const struct ch_seal_binding *binding,
	struct ch_secret *block, struct ch_buf *out)
{
	struct ch_sealed sealed;
	int rc = ch_seal_key(to, binding, block, &sealed);

	if (rc)
		return rc;
	ch_buf_add(out, sealed.recipient_id, sizeof(sealed.recipient_id));
	ch_buf_add_u16(out, (uint16_t)sealed.kem);
	ch_buf_add_u8(out, (uint8_t)sealed.enc_len);
	ch_buf_add(out, sealed.enc, sealed.enc_len);
	ch_buf_add_u16(out, (uint16_t)sealed.ct_len);
	return ch_buf_add(out, sealed.ct, sealed.ct_len);
}

int ch_sealed_make(const struct ch_recipients *recipients, struct ch_secret *block,
	const uint8_t spki_sha256[CH_SHA256_B], uint64_t key_version, const char *const *names,
	size_t n_names, struct ch_buf *out)
{
	if (recipients->n == 0 || recipients->n > CH_RECORD_SEALED_MAX || n_names == 0 ||
		n_names > CH_WORK_NAMES_MAX)
		return CH_EINVAL;
	ch_buf_add_str(out, MAGIC);
	ch_buf_add(out, spki_sha256, CH_SHA256_B);
	ch_buf_add_u8(out, (uint8_t)n_names);
	for (size_t i = 0; i < n_names; i++) {
		struct ch_seal_binding binding = {.name = names[i],
			.name_len = strlen(names[i]),
			.key_version = key_version,
			.spki_sha256 = spki_sha256};

		ch_buf_add_u8(out, (uint8_t)binding.name_len);
		ch_buf_add(out, binding.name, binding.name_len);
		ch_buf_add_u8(out, (uint8_t)recipients->n);
		for (size_t k = 0; k < recipients->n; k++) {
			int rc = add_copy(&recipients->list[k], &binding, block, out);

			if (rc)
				return rc;
		}
	}
	return out->rc;
}

static int read_copy(struct ch_reader *r, struct ch_sealed_view *copy)
{
	copy->recipient_id = ch_read_bytes(r, CH_RECIPIENT_ID_B);
	copy->kem_id = ch_read_u16(r);
	copy->enc_len = ch_read_u8(r);
	copy->enc = ch_read_bytes(r, copy->enc_len);
	copy->ct_len = ch_read_u16(r);
	copy->ct = ch_read_bytes(r, copy->ct_len);
	if (r->rc || copy->enc_len == 0 || copy->enc_len > CH_SEAL_ENC_MAX_B ||
		copy->ct_len == 0 || copy->ct_len > CH_RECORD_CT_MAX_B)
		return CH_ECORRUPT;
	return CH_OK;
}

static int read_name(struct ch_reader *r, struct ch_sealed_name *name)
{
	name->name_len = ch_read_u8(r);
	name->name = (const char *)ch_read_bytes(r, name->name_len);
	name->n_copies = ch_read_u8(r);
	if (r->rc || name->name_len == 0 || name->name_len > CH_NAME_MAX ||
		name->n_copies == 0 || name->n_copies > CH_RECORD_SEALED_MAX)
		return CH_ECORRUPT;
	for (size_t i = 0; i < name->n_copies; i++) {
		int rc = read_copy(r, &name->copies[i]);

		if (rc)
			return rc;
	}
	return CH_OK;
}

int ch_sealed_read(const uint8_t *bytes, size_t len, struct ch_sealed_set *ret_set)
{
	struct ch_sealed_set set = {0};
	const uint8_t *magic;
	struct ch_reader r;

	ch_reader_init(&r, bytes, len);
	magic = ch_read_bytes(&r, sizeof(MAGIC) - 1);
	if (!magic || memcmp(magic, MAGIC, 3) != 0)
		return CH_ECORRUPT;
	if (magic[3] != MAGIC[3])
		return CH_EUNSUPPORTED;
	set.spki_sha256 = ch_read_bytes(&r, CH_SHA256_B);
	set.n_names = ch_read_u8(&r);
	if (r.rc || set.n_names == 0 || set.n_names > CH_WORK_NAMES_MAX)
		return CH_ECORRUPT;
	for (size_t i = 0; i < set.n_names; i++) {
		int rc = read_name(&r, &set.names[i]);

		if (rc)
			return rc;
	}
	set.signed_len = (size_t)(r.at - bytes);
	set.signature = ch_read_bytes(&r, CH_SIGNATURE_B);
	if (r.rc || r.left != 0)
		return CH_ECORRUPT;
	*ret_set = set;
	return CH_OK;
}

static int add_signed(uint64_t order_id, const uint8_t *csr, size_t csr_len,
	const uint8_t *sealed, size_t sealed_len, struct ch_buf *out)
{
	ch_buf_init(out, SIGNED_MAX_B);
	ch_buf_add_u64(out, order_id);
	ch_buf_add_u32(out, (uint32_t)csr_len);
	ch_buf_add(out, csr, csr_len);
	return ch_buf_add(out, sealed, sealed_len);
}

int ch_sealed_sign(const struct ch_sign_key *key, uint64_t order_id, const uint8_t *csr,
	size_t csr_len, struct ch_buf *sealed)
{
	CH_AUTO_BUF struct ch_buf text;
	uint8_t signature[CH_SIGNATURE_B];
	int rc = add_signed(order_id, csr, csr_len, sealed->data, sealed->len, &text);

	if (rc == CH_OK)
		rc = ch_sign(key, LABEL, text.data, text.len, signature);
	return rc ? rc : ch_buf_add(sealed, signature, sizeof(signature));
}

int ch_sealed_open(const struct ch_sign_key *key, const struct ch_work *work,
	struct ch_sealed_set *ret_set)
{
	CH_AUTO_BUF struct ch_buf text;
	struct ch_sealed_set set;
	int rc = ch_sealed_read(work->sealed, work->sealed_len, &set);

	ch_buf_init(&text, 0);
	if (rc)
		return rc;
	if (!work->made_here)
		rc = add_signed(work->id, work->csr, work->csr_len, work->sealed,
			set.signed_len, &text);
	if (rc == CH_OK && !work->made_here)
		rc = ch_sign_check(key, LABEL, text.data, text.len, set.signature);
	if (rc)
		return rc;
	*ret_set = set;
	return CH_OK;
}

const struct ch_sealed_name *ch_sealed_find(const struct ch_sealed_set *set, const char *name)
{
	for (size_t i = 0; i < set->n_names; i++)
		if (set->names[i].name_len == strlen(name) &&
			memcmp(set->names[i].name, name, set->names[i].name_len) == 0)
			return &set->names[i];
	return NULL;
}
