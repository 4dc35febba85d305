/* What was found, and which certificate is a name's best. */
#include <string.h>

#include "issuerd/adopt.h"
#include "wire/name.h"

static const struct ch_name_rules any_name = {.allow_wildcard = true};

/* Room for one more, of twice as many as before. */
static int grow(void **list, size_t n, size_t *cap, size_t size_b)
{
	size_t more = *cap ? 2 * *cap : 256;
	void *grown;

	if (n < *cap)
		return CH_OK;
	grown = reallocarray(*list, more, size_b);
	if (!grown)
		return CH_ENOMEM;
	*list = grown;
	*cap = more;
	return CH_OK;
}

static int copy(const char *text, char **ret_text)
{
	*ret_text = text ? strdup(text) : NULL;
	return text && !*ret_text ? CH_ENOMEM : CH_OK;
}

static void cert_done(struct ch_adopt_cert *cert)
{
	free(cert->cert);
	free(cert->key);
	free(cert->chain);
	json_decref(cert->wanted);
}

static int want(json_t *wanted, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach((json_t *)names, i, name)
	{
		const char *text = json_string_value(name);
		bool both = text && text[0] == '.';
		char plain[CH_NAME_TEXT_B];
		char given[CH_NAME_TEXT_B + 2];
		struct ch_err err;

		/* nginx: a name that begins with a dot stands for itself and what is below. */
		if (!text || strlen(text) >= CH_NAME_TEXT_B)
			continue;
		snprintf(given, sizeof(given), "%s%s", both ? "*" : "", text);
		/* What is no name, as a regular expression, or "_", wants nothing. */
		if (ch_name_normalize(given, strlen(given), &any_name, plain, &err))
			continue;
		if (json_object_set_new(wanted, plain, json_true()) ||
			(both && json_object_set_new(wanted, plain + 2, json_true())))
			return CH_ENOMEM;
	}
	return CH_OK;
}

static int add_cert(struct ch_adopt *a, const struct ch_adopt_site *site, bool folder)
{
	struct ch_adopt_cert cert = {.folder = folder};
	int rc = copy(site->cert, &cert.cert);

	if (!rc)
		rc = copy(site->key, &cert.key);
	if (!rc)
		rc = copy(site->chain, &cert.chain);
	if (!rc && site->names && !(cert.wanted = json_object()))
		rc = CH_ENOMEM;
	if (!rc)
		rc = grow((void **)&a->certs, a->n_certs, &a->certs_cap, sizeof(*a->certs));
	if (!rc && json_object_set_new_nocheck(
			   a->by_path, site->cert, json_integer((json_int_t)a->n_certs)))
		rc = CH_ENOMEM;
	if (rc)
		cert_done(&cert);
	else
		a->certs[a->n_certs++] = cert;
	return rc;
}

int ch_adopt_add(struct ch_adopt *a, const struct ch_adopt_site *site, bool folder)
{
	json_t *at = json_object_get(a->by_path, site->cert);
	struct ch_adopt_cert *cert;
	int rc = at ? CH_OK : add_cert(a, site, folder);

	if (rc)
		return rc;
	cert = at ? &a->certs[json_integer_value(at)] : &a->certs[a->n_certs - 1];
	if (site->names && cert->wanted)
		return want(cert->wanted, site->names);
	/* One of the sources wants all of them. */
	json_decref(cert->wanted);
	cert->wanted = NULL;
	return CH_OK;
}

int ch_adopt_add_key(struct ch_adopt *a, EVP_PKEY *key, const char *path)
{
	struct ch_adopt_key one = {.path = NULL};
	int rc = ch_key_spki_sha256(key, one.spki);

	if (!rc)
		rc = grow((void **)&a->keys, a->n_keys, &a->keys_cap, sizeof(*a->keys));
	if (!rc)
		rc = copy(path, &one.path);
	if (!rc)
		a->keys[a->n_keys++] = one;
	return rc;
}

static int by_spki(const void *a, const void *b)
{
	return memcmp(((const struct ch_adopt_key *)a)->spki,
		((const struct ch_adopt_key *)b)->spki, CH_SHA256_B);
}

void ch_adopt_match_keys(struct ch_adopt *a)
{
	if (a->n_keys)
		qsort(a->keys, a->n_keys, sizeof(*a->keys), by_spki);
}

static void match(struct ch_adopt *a, struct ch_adopt_cert *cert)
{
	struct ch_adopt_key wanted;
	const struct ch_adopt_key *key;

	if (!cert->folder || !a->n_keys)
		return;
	memcpy(wanted.spki, cert->spki, sizeof(wanted.spki));
	key = bsearch(&wanted, a->keys, a->n_keys, sizeof(*a->keys), by_spki);
	if (key)
		cert->key = strdup(key->path);
}

/* ---- names ---- */

static int each_name(struct ch_adopt *a, const char *given,
	int (*each)(void *arg, const char *name), void *arg)
{
	char name[CH_NAME_TEXT_B];
	struct ch_err err;

	if (ch_name_normalize(given, strlen(given), &any_name, name, &err)) {
		return CH_OK;
	}
	return a->only && !json_object_get(a->only, name) ? CH_OK : each(arg, name);
}

int ch_adopt_names(struct ch_adopt *a, const struct ch_adopt_cert *cert,
	const struct ch_adopt_leaf *leaf, int (*each)(void *arg, const char *name), void *arg)
{
	const char *name;
	json_t *value;
	int rc = CH_OK;

	if (!cert->wanted) {
		for (size_t i = 0; !rc && i < leaf->info.n_names; i++)
			rc = each_name(a, leaf->info.names[i], each, arg);
		return rc;
	}
	json_object_foreach(cert->wanted, name, value)
	{
		if (ch_cert_covers(&leaf->info, name))
			rc = each_name(a, name, each, arg);
		if (rc)
			return rc;
	}
	return CH_OK;
}

/* Two indices, from 1; 0: none. */
#define PACK(first, rsa) ((json_int_t)(((uint64_t)(first) << 32) | (uint64_t)(rsa)))

static void unpack(const json_t *value, size_t *ret_ecdsa, size_t *ret_rsa)
{
	uint64_t both = (uint64_t)json_integer_value(value);

	*ret_ecdsa = (size_t)(both >> 32);
	*ret_rsa = (size_t)(both & UINT32_MAX);
}

struct noting {
	struct ch_adopt *a;
	size_t index;
	size_t n;
};

static int note_name(void *arg, const char *name)
{
	struct noting *noting = arg;
	struct ch_adopt *a = noting->a;
	const struct ch_adopt_cert *cert = &a->certs[noting->index];
	size_t ecdsa;
	size_t rsa;
	size_t *best;

	noting->n++;
	unpack(json_object_get(a->names, name), &ecdsa, &rsa);
	best = cert->rsa ? &rsa : &ecdsa;
	if (*best) {
		bool better = cert->not_after_s > a->certs[*best - 1].not_after_s;

		if (*best - 1 == noting->index)
			return CH_OK;
		ch_adopt_report_note(&a->report, CH_FATE_UNUSED, name, "ends-earlier",
			better ? a->certs[*best - 1].cert : cert->cert);
		if (!better)
			return CH_OK;
	}
	*best = noting->index + 1;
	return json_object_set_new(a->names, name, json_integer(PACK(ecdsa, rsa))) ? CH_ENOMEM
										   : CH_OK;
}

enum ch_adopt_role ch_adopt_role_of(const struct ch_adopt *a, const char *name, size_t index)
{
	size_t ecdsa;
	size_t rsa;
	bool rsa_first;

	unpack(json_object_get(a->names, name), &ecdsa, &rsa);
	if (index + 1 != ecdsa && index + 1 != rsa)
		return CH_ADOPT_NO;
	if (!ecdsa || !rsa)
		return CH_ADOPT_FIRST;
	rsa_first = !a->both && a->certs[rsa - 1].not_after_s > a->certs[ecdsa - 1].not_after_s;
	if (rsa_first == (index + 1 == rsa))
		return CH_ADOPT_FIRST;
	/* An ECDSA certificate is never a second one. */
	return rsa_first ? CH_ADOPT_NO : CH_ADOPT_SECOND;
}

/* What is found out about one, by whichever thread; the rest is said in the order of the list.
 */
struct look {
	struct ch_adopt_leaf leaf;
	struct ch_err err;
	int rc;
};

struct looks {
	struct ch_adopt *a;
	size_t first;
	struct look *list;
};

static void look_at(void *arg, size_t i, unsigned who)
{
	struct looks *looks = arg;
	struct ch_adopt *a = looks->a;
	struct ch_adopt_cert *cert = &a->certs[looks->first + i];
	struct look *look = &looks->list[i];

	look->err = (struct ch_err){0};
	look->rc = ch_adopt_load(a, who, cert, &look->leaf, &look->err);
	if (look->rc)
		return;
	cert->not_after_s = look->leaf.info.not_after_s;
	memcpy(cert->spki, look->leaf.info.spki_sha256, sizeof(cert->spki));
	cert->rsa = ch_adopt_is_rsa(&look->leaf);
	match(a, cert);
	look->rc = ch_adopt_judge(a, &look->leaf, &look->err);
	/* One that cannot be used must not take the place of one that can. */
	if (!look->rc)
		look->rc = ch_adopt_load_key(a, who, cert, &look->leaf, &look->err);
	EVP_PKEY_free(look->leaf.key);
	look->leaf.key = NULL;
}

static int conclude(struct ch_adopt *a, size_t index, const struct look *look)
{
	struct ch_adopt_cert *cert = &a->certs[index];
	struct noting noting = {.a = a, .index = index};
	int rc;

	if (look->rc) {
		ch_adopt_report_note(&a->report, CH_FATE_REFUSED, cert->cert, look->err.problem,
			look->err.detail);
		return look->rc == CH_ENOMEM ? look->rc : CH_OK;
	}
	cert->good = true;
	rc = ch_adopt_names(a, cert, &look->leaf, note_name, &noting);
	if (!rc && !noting.n)
		ch_adopt_report_note(&a->report, a->only ? CH_FATE_UNUSED : CH_FATE_REFUSED,
			cert->cert, "no-name",
			cert->wanted
				? "it covers none of the names that its server blocks have, "
				  "or that --only has"
				: "none of its names can be registered, or --only has none of "
				  "them");
	return rc;
}

int ch_adopt_survey(struct ch_adopt *a)
{
	CH_AUTO_FREE struct look *list = calloc(CH_ADOPT_CHUNK, sizeof(*list));
	struct looks looks = {.a = a, .list = list};
	int rc = list ? CH_OK : CH_ENOMEM;

	if (a->n_certs > UINT32_MAX - 1)
		return CH_ETOOBIG;
	ch_adopt_report_begin(&a->report, "certificates looked at", a->n_certs);
	for (; !rc && looks.first < a->n_certs; looks.first += CH_ADOPT_CHUNK) {
		size_t left = a->n_certs - looks.first;
		size_t n = left < CH_ADOPT_CHUNK ? left : CH_ADOPT_CHUNK;

		ch_crew_run(a->threads, n, look_at, &looks);
		for (size_t i = 0; i < n; i++) {
			if (!rc)
				rc = conclude(a, looks.first + i, &list[i]);
			ch_adopt_leaf_done(&list[i].leaf);
			ch_adopt_report_step(&a->report, 1);
		}
	}
	ch_adopt_report_clear(&a->report);
	return rc;
}

void ch_adopt_list_done(struct ch_adopt *a)
{
	for (size_t i = 0; i < a->n_certs; i++)
		cert_done(&a->certs[i]);
	for (size_t i = 0; i < a->n_keys; i++)
		free(a->keys[i].path);
	free(a->certs);
	free(a->keys);
	ch_adopt_pem_done(&a->pool);
	json_decref(a->by_path);
	json_decref(a->names);
}
