/* valid: make the key, sign the CSR, seal the key; the plaintext ends here. */
#include <string.h>

#include "base/clock.h"
#include "issuerd/sealed.h"
#include "issuerd/step.h"

static int make_key(const struct ch_step *step, EVP_PKEY **ret_key)
{
	const struct ch_issuer_config *config = step->issuer->config;
	enum ch_key_type type = step->work->key;

	if (type == CH_KEY_RSA)
		return ch_key_generate_rsa(config->rsa_bits, ret_key);
	return type == CH_KEY_P384 || config->p384 ? ch_key_generate_p384(ret_key)
						   : ch_key_generate(ret_key);
}

static int make(struct ch_step *step, struct ch_buf *csr, struct ch_buf *sealed)
{
	const struct ch_work *work = step->work;
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	struct ch_recipients recipients;
	uint8_t spki[CH_SHA256_B];
	int rc;

	rc = make_key(step, &key);
	if (rc == CH_OK)
		rc = ch_csr_make(key, work->name_list, work->n_names, csr);
	if (rc == CH_OK)
		rc = ch_key_spki_sha256(key, spki);
	if (rc == CH_OK)
		rc = ch_key_to_block(key, &block);
	if (rc)
		return rc;
	ch_issuer_recipients(step->issuer, &recipients);
	rc = ch_sealed_make(
		&recipients, block, spki, work->id, work->name_list, work->n_names, sealed);
	return rc ? rc
		  : ch_sealed_sign(step->issuer->signer, work->id, csr->data, csr->len, sealed);
}

void ch_step_key(struct ch_step *step)
{
	CH_AUTO_BUF struct ch_buf csr;
	CH_AUTO_BUF struct ch_buf sealed;
	struct ch_acme_answer ans = {.fate = CH_ACME_LATER};
	int rc;

	ch_buf_init(&csr, 8192);
	ch_buf_init(&sealed, 16384);
	rc = make(step, &csr, &sealed);
	if (rc) {
		ch_err_set(&ans.err, rc, "key-not-made",
			"The key could not be made and sealed: %s.", ch_rc_str(rc));
		ans.err.actor = CH_ACTOR_PLATFORM;
		ch_step_ca_error(step, &ans);
		return;
	}
	step->out->has_state = true;
	step->out->state = CH_ORDER_SEALED;
	step->out->csr = TAKE_PTR(csr.data);
	step->out->csr_len = csr.len;
	step->out->sealed = TAKE_PTR(sealed.data);
	step->out->sealed_len = sealed.len;
	step->out->has_notes = true;
	step->out->notes = ch_step_notes_for_next(step);
	/* Stored before the CSR goes to the CA: a certificate whose key is lost helps nobody.
	 */
	step->out->go_on = true;
}
