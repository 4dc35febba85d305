/* Names are given CAs that there are: for who uses another one by mistake nothing would be
 * issued, or not what he wanted.
 *
 * One that some issuer has told of once stays good, also when none has it any more: else the
 * removal of a CA from the issuers' configuration would have the platform's new names refused.
 * What such a name waits for, or goes without, it says itself ("ca-unknown"). */
#include "store/cas.h"
#include "store/sql_work.h"

struct judging {
	struct ch_work *w;
	const char *known;
	const char *before; /* what the name has */
};

/* What issuers have told of, also to stores of the version before. */
static int is_remembered(struct ch_work *w, const char *ca, size_t len, bool *ret_is)
{
	char name[CH_STORE_CA_NAME_MAX + 1];
	int64_t n;
	int rc;

	*ret_is = false;
	if (len >= sizeof(name))
		return CH_OK;
	memcpy(name, ca, len);
	name[len] = '\0';
	rc = ch_db_get_i64(w->db, &n, "SELECT count(*) FROM ca WHERE name = ?", "t", name);
	*ret_is = !rc && n > 0;
	return rc;
}

/* The first of the list that is not known, *ret_len bytes of it; NULL: all are. */
static int find_stranger(
	const struct judging *j, const char *list, const char **ret_ca, size_t *ret_len)
{
	*ret_ca = NULL;
	for (size_t n; *list; list += n + (list[n] == ',')) {
		bool is_known;
		int rc = CH_OK;

		n = strcspn(list, ",");
		is_known = ch_cas_have(j->known, list, n) || ch_cas_have(j->before, list, n);
		if (!is_known)
			rc = is_remembered(j->w, list, n, &is_known);
		if (rc)
			return rc;
		if (!is_known) {
			*ret_ca = list;
			*ret_len = n;
			return CH_OK;
		}
	}
	return CH_OK;
}

int ch_work_judge_cas(struct ch_work *w, const struct ch_store_put_item *item,
	const char *known, const struct ch_name_row *row, const char **ret_detail)
{
	const struct {
		const char *field;
		const char *list;
		const char *before;
	} asked[] = {
		{"cas", item->cas, row->cas},
		{"standby", item->standby, row->standby},
	};

	*ret_detail = NULL;
	for (size_t i = 0; known && i < CH_ARRAY_LEN(asked); i++) {
		const struct judging j = {.w = w, .known = known, .before = asked[i].before};
		const char *ca;
		size_t len;
		int rc;

		if (!asked[i].list || strcmp(asked[i].list, CH_STORE_STANDBY_NONE) == 0)
			continue;
		rc = find_stranger(&j, asked[i].list, &ca, &len);
		if (rc)
			return rc;
		if (!ca)
			continue;
		*ret_detail = ch_arena_fmt(w->op->arena,
			"%s: no issuer has a CA that it calls \"%.*s\"; those that there are: "
			"%s. "
			"A new one is known when an issuer that has it has asked for work",
			asked[i].field, (int)len, ca, known);
		return *ret_detail ? CH_OK : CH_ENOMEM;
	}
	return CH_OK;
}
