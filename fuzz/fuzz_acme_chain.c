/* The download of a certificate: the PEM text of the answer, its parsing, the checks before
 * publication, and the chain block made of it.  Input that begins like DER is put into PEM
 * first, so that mutations reach what is inside. */
#include <stdio.h>
#include <string.h>

#include "acme/call.h"
#include "answer.h"
#include "base/mem.h"
#include "crypto/x509.h"
#include "wire/record.h"

CH_DEFINE_CLEANUP(struct ch_cert_chain *, ch_cert_chain_free)

#define DER_PARTS_MAX 12

/* The length of the DER element at p, as its header has it, but not beyond what is there. */
static size_t der_len(const uint8_t *p, size_t left)
{
	size_t len = left > 1 ? p[1] : 0;
	size_t head = 2;

	if (len & 0x80) {
		size_t n = len & 0x7F;

		for (len = 0; n > 0 && head < left && len < left; n--)
			len = len << 8 | p[head++];
	}
	return len < left - head && head < left ? head + len : left;
}

static void add_pem(struct ch_buf *out, const uint8_t *der, size_t len)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	ch_buf_add_str(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)der[i] << 16 | (i + 1 < len ? der[i + 1] << 8 : 0) |
			     (i + 2 < len ? der[i + 2] : 0);

		ch_buf_add_u8(out, (uint8_t)set[v >> 18]);
		ch_buf_add_u8(out, (uint8_t)set[v >> 12 & 63]);
		ch_buf_add_u8(out, i + 1 < len ? (uint8_t)set[v >> 6 & 63] : '=');
		ch_buf_add_u8(out, i + 2 < len ? (uint8_t)set[v & 63] : '=');
		if (i % 48 == 45)
			ch_buf_add_u8(out, '\n');
	}
	ch_buf_add_str(out, len % 48 ? "\n" : "");
	ch_buf_add_str(out, "-----END CERTIFICATE-----\n");
}

static void make_pem(const uint8_t *data, size_t size, struct ch_buf *out)
{
	for (int n = 0; size > 0 && data[0] == 0x30 && n < DER_PARTS_MAX; n++) {
		size_t len = der_len(data, size);

		add_pem(out, data, len);
		data += len;
		size -= len;
	}
	ch_buf_add(out, data, size);
}

static void check_info(const struct ch_cert_info *info)
{
	CH_FUZZ_CHECK(info->n_names <= CH_CERT_NAMES_MAX);
	for (size_t i = 0; i < info->n_names; i++) {
		CH_FUZZ_CHECK(memchr(info->names[i], 0, sizeof(info->names[i])));
		CH_FUZZ_CHECK(info->names[i][0] && ch_cert_covers(info, info->names[i]));
		/* Lower-cased. */
		for (const char *c = info->names[i]; *c; c++)
			CH_FUZZ_CHECK(*c < 'A' || *c > 'Z');
	}
	CH_FUZZ_CHECK(info->serial[0] && strlen(info->serial) < sizeof(info->serial));
	/* Both go into JSON. */
	CH_FUZZ_CHECK(ch_fuzz_is_utf8(info->issuer) && ch_fuzz_is_plain(info->issuer));
}

/* What is published is made of the same certificates. */
static void check_block(const struct ch_cert_chain *chain)
{
	CH_AUTO_BUF struct ch_buf out;
	struct ch_chain block = {.n = ch_cert_chain_len(chain) - 1};
	struct ch_chain back;

	ch_buf_init(&out, CH_CHAIN_MAX_B);
	CH_FUZZ_CHECK(block.n <= CH_CHAIN_CERTS_MAX);
	for (size_t i = 0; i < block.n; i++)
		ch_cert_chain_der(chain, i + 1, &block.der[i], &block.der_len[i]);
	if (block.n == 0 || ch_chain_encode(&block, &out))
		return;
	CH_FUZZ_CHECK(ch_chain_decode(out.data, out.len, &back) == CH_OK && back.n == block.n);
	for (size_t i = 0; i < back.n; i++)
		CH_FUZZ_CHECK(back.der_len[i] == block.der_len[i] &&
			      memcmp(back.der[i], block.der[i], back.der_len[i]) == 0);
}

/* With everything expected as the leaf has it, so that the later checks are reached. */
static void check_chain(const struct ch_cert_chain *chain, struct ch_cert_info *info)
{
	static struct ch_trust *trust;
	static const char *names[CH_CERT_NAMES_MAX];
	static const uint8_t other_key[32];
	struct ch_cert_expect expect = {.names = names};
	struct ch_err err = {0};
	const uint8_t *der;
	size_t len;

	if (!trust)
		CH_FUZZ_CHECK(ch_trust_load("any", &trust, &err) == CH_OK);
	ch_cert_chain_der(chain, 0, &der, &len);
	CH_FUZZ_CHECK(len > 0 && len <= CH_RECORD_LEAF_MAX_B);
	if (ch_cert_info_der(der, len, info, &err)) {
		ch_fuzz_check_err(&err);
		return;
	}
	check_info(info);
	expect.spki_sha256 = info->spki_sha256;
	expect.n_names = info->n_names;
	for (size_t i = 0; i < info->n_names; i++)
		names[i] = info->names[i];
	expect.trust = trust;
	expect.now_s = info->not_before_s / 2 + info->not_after_s / 2;
	if (ch_cert_chain_check(chain, &expect, &err))
		ch_fuzz_check_err(&err);
	else
		CH_FUZZ_CHECK(info->not_before_s <= info->not_after_s);
	expect.spki_sha256 = other_key;
	CH_FUZZ_CHECK(ch_cert_chain_check(chain, &expect, &err) != CH_OK);
	ch_fuzz_check_err(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ch_acme_answer ans;
	static struct ch_cert_info info;
	CH_CLEANUP(ch_cert_chain_free_p) struct ch_cert_chain *chain = NULL;
	CH_AUTO_BUF struct ch_buf pem;
	struct ch_http_resp resp;
	struct ch_err err = {0};

	ch_buf_init(&pem, CH_ACME_CHAIN_MAX_B);
	make_pem(data, size, &pem);
	ch_http_resp_init(&resp);
	ch_acme_answer_init(&ans);
	if (ch_fuzz_answer_body(
		    &resp, 200, "application/pem-certificate-chain", pem.data, pem.len) &&
		ch_acme_answer_take(CH_ACME_GET_CERTIFICATE, &resp, ch_fuzz_now_ms, &ans) ==
			CH_ACME_OK) {
		if (ch_cert_chain_parse_pem(ch_buf_str(&ans.pem), ans.pem.len, &chain, &err)) {
			ch_fuzz_check_err(&err);
		} else {
			CH_FUZZ_CHECK(ch_cert_chain_len(chain) > 0);
			CH_FUZZ_CHECK(ch_cert_chain_len(chain) <= CH_CHAIN_CERTS_MAX + 1);
			check_block(chain);
			check_chain(chain, &info);
		}
	} else {
		ch_fuzz_check_err(&ans.err);
	}
	ch_acme_answer_done(&ans);
	ch_http_resp_done(&resp);
	return 0;
}
