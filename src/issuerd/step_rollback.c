/* A certificate that was live before is put back: its record, as we once signed it, is signed
 * again under the version of this order.  Of a name that has two, both may be, with one
 * publication or not at all: the second one's record under the version that follows.
 *
 * The store gives us the old record, and may be broken: what we did not sign ourselves for this
 * name is not signed now, or it could have a key of its own served. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "issuerd/ladder.h"
#include "issuerd/step.h"
#include "wire/record.h"

CH_DEFINE_CLEANUP(struct ch_cert_chain *, ch_cert_chain_free)

/* More do not fit into an error beside a long name. */
#define LACKING_TOLD_MAX 3

struct rollback {
	const struct ch_work *work;
	const struct ch_issuer *issuer;
	const struct ch_old *given;
	enum ch_record_kind kind;
	uint64_t version;			 /* of the new records */
	struct ch_recipients recipients;	 /* of now */
	struct ch_record old[CH_WORK_NAMES_MAX]; /* as work->names */
	struct ch_cert_info *info;
};

static int refuse(struct ch_err *err, const char *name, const char *why)
{
	err->actor = CH_ACTOR_OPERATOR;
	(void)ch_err_set(err, CH_EAUTH, "rollback-refused",
		"The certificate that %s had before cannot be put back: %s.", name, why);
	err->actor = CH_ACTOR_OPERATOR;
	return CH_EAUTH;
}

static const struct ch_sealed_view *copy_for(
	const struct ch_record *record, const struct ch_recipient *recipient)
{
	for (size_t i = 0; i < record->n_sealed; i++)
		if (record->sealed[i].kem_id == recipient->kem &&
			memcmp(record->sealed[i].recipient_id, recipient->id,
				CH_RECIPIENT_ID_B) == 0)
			return &record->sealed[i];
	return NULL;
}

/* As `cert show` and `key recipients` call it, and where it stands in the issuer's file. */
static void add_lacking(const struct ch_recipients *all, size_t at, struct ch_buf *lacking)
{
	char id[2 * sizeof(all->list[at].id) + 1];

	ch_hex_encode(all->list[at].id, sizeof(all->list[at].id), id);
	ch_buf_addf(lacking, "%s%s", lacking->len ? ", " : "", id);
	if (all->line[at])
		ch_buf_addf(lacking, " (line %u)", all->line[at]);
}

/* The copies for those who shall read keys now.  One who has none could not serve the name, and
 * no brake of an agent would stop it. */
static int keep_present(
	const struct rollback *r, const char *name, struct ch_record *old, struct ch_err *err)
{
	struct ch_sealed_view kept[CH_RECORD_SEALED_MAX];
	CH_AUTO_BUF struct ch_buf lacking = {.max_b = 512};
	size_t n_lacking = 0;
	char why[400];

	for (size_t i = 0; i < r->recipients.n; i++) {
		const struct ch_sealed_view *copy = copy_for(old, &r->recipients.list[i]);

		if (copy)
			kept[i] = *copy;
		else if (n_lacking++ < LACKING_TOLD_MAX)
			add_lacking(&r->recipients, i, &lacking);
	}
	if (n_lacking > LACKING_TOLD_MAX)
		ch_buf_addf(&lacking, " and %zu more", n_lacking - LACKING_TOLD_MAX);
	if (n_lacking) {
		snprintf(why, sizeof(why),
			"of the recipients of now, %s cannot open its key (`certherd key "
			"recipients`)",
			ch_buf_str(&lacking));
		return refuse(err, name, why);
	}
	memcpy(old->sealed, kept, r->recipients.n * sizeof(kept[0]));
	old->n_sealed = r->recipients.n;
	return CH_OK;
}

static int read_old(struct rollback *r, size_t i, struct ch_err *err)
{
	const struct ch_old_record *bytes = &r->given->records[i];
	const char *name = r->work->names[i];
	struct ch_record *old = &r->old[i];

	if (!bytes->bytes || ch_record_decode(bytes->bytes, bytes->len, old) ||
		old->kind != r->kind || !ch_record_has_cert(old))
		return refuse(err, name, "the store has no record of it");
	if (old->name_len != strlen(name) || memcmp(old->name, name, old->name_len) != 0)
		return refuse(err, name, "the store gives the record of another name");
	if (ch_record_check_own(old, bytes->bytes, r->issuer->signer))
		return refuse(err, name,
			"it was not signed by the key that records are signed with now");
	if (old->version >= r->work->id || old->key_version > old->version)
		return refuse(err, name, "its version is not an earlier one");
	if (old->leaf_len != r->old[0].leaf_len ||
		memcmp(old->leaf, r->old[0].leaf, old->leaf_len) != 0 ||
		memcmp(old->chain_id, r->old[0].chain_id, CH_CHAIN_ID_B) != 0)
		return refuse(err, name, "its other name had another one");
	return keep_present(r, name, old, err);
}

/* The intermediates are those that the signed record names by their hash. */
static int parse(const struct rollback *r, struct ch_cert_chain **ret_chain, struct ch_err *err)
{
	static const uint8_t none[CH_CHAIN_ID_B];
	const struct ch_old *given = r->given;
	const uint8_t *der[1 + CH_CHAIN_CERTS_MAX] = {r->old[0].leaf};
	size_t len[1 + CH_CHAIN_CERTS_MAX] = {r->old[0].leaf_len};
	struct ch_chain chain = {.n = 0};
	uint8_t id[CH_CHAIN_ID_B] = {0};

	if (memcmp(r->old[0].chain_id, none, sizeof(none)) != 0 &&
		(!given->chain || ch_chain_id(given->chain, given->chain_len, id) ||
			memcmp(id, r->old[0].chain_id, sizeof(id)) != 0 ||
			ch_chain_decode(given->chain, given->chain_len, &chain)))
		return refuse(err, r->work->names[0], "its intermediates are missing");
	for (size_t i = 0; i < chain.n; i++) {
		der[1 + i] = chain.der[i];
		len[1 + i] = chain.der_len[i];
	}
	return ch_cert_chain_from_der(der, len, 1 + chain.n, ret_chain, err);
}

/* As good as on the day it was published: dates, names, usage, and a chain that builds today.
 */
static int check(struct rollback *r, struct ch_err *err)
{
	CH_CLEANUP(ch_cert_chain_free_p) struct ch_cert_chain *chain = NULL;
	const char *names[CH_CERT_NAMES_MAX];
	struct ch_cert_expect expect = {
		.spki_sha256 = r->info->spki_sha256,
		.names = names,
		.now_s = ch_now_ms() / CH_SECOND_MS,
	};
	int rc = parse(r, &chain, err);

	if (rc == CH_OK)
		rc = ch_cert_chain_leaf_info(chain, r->info, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < r->info->n_names; i++)
		names[i] = r->info->names[i];
	expect.n_names = r->info->n_names;
	for (size_t i = 0; i < r->work->n_names; i++)
		if (!ch_cert_covers(r->info, r->work->names[i]))
			return refuse(err, r->work->names[i], "it is not for this name");
	/* Whichever CA it is of. */
	for (size_t i = 0; i < r->issuer->n_cas; i++) {
		expect.trust = r->issuer->cas[i].roots;
		rc = ch_cert_chain_check(chain, &expect, err);
		if (rc == CH_OK)
			break;
	}
	return rc;
}

static json_t *bytes_json(const uint8_t *bytes, size_t len)
{
	CH_AUTO_BUF struct ch_buf text;

	ch_buf_init(&text, CH_B64U_TEXT_B(CH_CHAIN_MAX_B) + 1);
	return ch_b64u_add(&text, bytes, len) ? NULL : json_string(ch_buf_str(&text));
}

static int sign_again(const struct rollback *r, size_t i, json_t *list)
{
	CH_AUTO_BUF struct ch_buf out;
	struct ch_record record = r->old[i];
	int rc;

	ch_buf_init(&out, CH_RECORD_MAX_B);
	record.version = r->version;
	rc = ch_record_sign(&record, r->issuer->signer, &out);
	if (rc)
		return rc;
	return json_array_append_new(list, bytes_json(out.data, out.len)) ? CH_ENOMEM : CH_OK;
}

/* By the calendar of the certificate that is live now; that day is often past, and a renewal
 * at once would undo the roll-back: then a quarter of what it has left is waited. */
static int64_t renew_at(const struct rollback *r)
{
	const struct ch_cert_info *info = r->info;
	int64_t now_ms = ch_now_ms();
	const struct ch_renewal renewal = {.not_before_ms = info->not_before_s * CH_SECOND_MS,
		.not_after_ms = info->not_after_s * CH_SECOND_MS,
		.issued_ms = info->not_before_s * CH_SECOND_MS};
	const struct ch_limit none = {0};
	int64_t least_ms = now_ms + (info->not_after_s * CH_SECOND_MS - now_ms) / 4;
	struct ch_calendar_span span;

	ch_renew_span(r->issuer->config, &none, &renewal, now_ms, &span);
	return span.until_ms > least_ms ? span.until_ms : least_ms;
}

static json_t *build_body(const struct rollback *r, json_t *records)
{
	const struct ch_cert_info *info = r->info;
	const struct ch_old *given = r->given;
	char renew[CH_TIME_STR_B];
	char not_before[CH_TIME_STR_B];
	char not_after[CH_TIME_STR_B];
	char spki[2 * CH_SHA256_B + 1];

	ch_hex_encode(info->spki_sha256, CH_SHA256_B, spki);
	return json_pack("{sososssssssssssssO}", "leaf",
		bytes_json(r->old[0].leaf, r->old[0].leaf_len), "chain",
		bytes_json(given->chain, given->chain_len), "renew_at",
		ch_time_str(renew_at(r), renew), "serial", info->serial, "issuer", info->issuer,
		"not_before", ch_time_str(info->not_before_s * CH_SECOND_MS, not_before),
		"not_after", ch_time_str(info->not_after_s * CH_SECOND_MS, not_after),
		"spki_sha256", spki, "records", records);
}

static int build(struct rollback *r, json_t **ret_body, struct ch_err *err)
{
	json_auto_t *records = json_array();
	int rc = CH_OK;

	for (size_t i = 0; rc == CH_OK && i < r->work->n_names; i++)
		rc = read_old(r, i, err);
	if (rc == CH_OK)
		rc = check(r, err);
	if (rc)
		return rc;
	for (size_t i = 0; rc == CH_OK && i < r->work->n_names; i++)
		rc = sign_again(r, i, records);
	*ret_body = rc == CH_OK ? build_body(r, records) : NULL;
	return *ret_body ? CH_OK : ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
}

static int build_second(const struct rollback *first, json_t *body, struct ch_err *err)
{
	struct rollback r = {.work = first->work,
		.issuer = first->issuer,
		.given = &first->work->old_second,
		.kind = CH_RECORD_SECOND,
		.version = first->version + 1,
		.recipients = first->recipients,
		.info = first->info};
	json_t *second = NULL;
	int rc = build(&r, &second, err);

	if (rc)
		return rc;
	return json_object_set_new(body, "second", second)
		       ? ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory")
		       : CH_OK;
}

static int build_all(struct rollback *r, json_t **ret_body, struct ch_err *err)
{
	json_auto_t *body = NULL;
	char look[CH_TIME_STR_B];
	int rc = build(r, &body, err);

	if (rc == CH_OK && r->work->old_second.version)
		rc = build_second(r, body, err);
	if (rc)
		return rc;
	ch_time_str(ch_api_store_ms(ch_now_ms() + ch_edges_wait_ms(0)), look);
	if (json_object_set_new(body, "next_at", json_string(look)))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	*ret_body = json_incref(body);
	return CH_OK;
}

/* Nothing is wrong with the names: what is live stays so, and is renewed when it is due. */
static void give_up(struct ch_step *step, const struct ch_err *err)
{
	for (size_t i = 0; i < step->work->n_names; i++) {
		struct ch_verdict *v = &step->out->verdicts[i];

		v->failed = false;
		v->next_at_ms = ch_now_ms();
		ch_reason_set(
			&v->reason, "rollback-refused", CH_ACTOR_OPERATOR, "%s", err->detail);
	}
	ch_step_failed(step);
}

void ch_step_rollback(struct ch_step *step)
{
	CH_AUTO_FREE struct ch_cert_info *info = malloc(sizeof(*info));
	struct rollback r = {.work = step->work,
		.issuer = step->issuer,
		.given = &step->work->old,
		.kind = step->work->second ? CH_RECORD_SECOND : CH_RECORD_CERT,
		.version = step->work->id,
		.info = info};
	struct ch_err err = {0};
	int rc;

	ch_issuer_recipients(step->issuer, &r.recipients);
	rc = info ? build_all(&r, &step->out->publish, &err) : CH_ENOMEM;

	if (!info)
		(void)ch_err_set(&err, rc, "out-of-memory", "out of memory");
	if (rc)
		give_up(step, &err);
}
