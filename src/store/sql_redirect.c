/* Where visitors of a name would end up: a redirect that leads back is refused when it is
 * written, in the transaction that writes it, so that no two writers close a loop together. */
#include <string.h>

#include "store/sql_work.h"

/* Browsers give up after some twenty. */
#define HOPS_MAX 16
#define TO_B (CH_STORE_POLICY_MAX + 1)

/* What edges find for a host: the name itself, else the wildcard above it. */
static int load_for(struct ch_work *w, const char *host, struct ch_name_row *ret_row)
{
	const char *dot = strchr(host, '.');
	char wildcard[CH_NAME_MAX + 1];
	int rc = ch_name_row_load(w->db, host, ret_row);

	if (rc != CH_ENOTFOUND || !dot || strlen(dot) + 1 >= sizeof(wildcard))
		return rc;
	wildcard[0] = '*';
	strcpy(wildcard + 1, dot);
	return ch_name_row_load(w->db, wildcard, ret_row);
}

/* What a wildcard that is written just now, and may be new, is to answer for. */
static bool covers(const char *wildcard, const char *host)
{
	const char *dot = strchr(host, '.');

	return strncmp(wildcard, "*.", 2) == 0 && dot && strcmp(wildcard + 1, dot) == 0;
}

/* *ret_to: where the host redirects to once `name` has its new redirect; "": it stays there, as
 * one that redirects to itself does. */
static int next_hop(struct ch_work *w, const char *name, const char *redirect, const char *host,
	char ret_to[TO_B])
{
	struct ch_name_row row = {.name = ""};
	const char *to = "";
	int rc = strcmp(host, name) == 0 ? CH_ENOTFOUND : load_for(w, host, &row);

	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (strcmp(host, name) == 0 || (rc ? covers(name, host) : strcmp(row.name, name) == 0))
		to = redirect;
	else if (!rc)
		to = row.policy[CH_POLICY_REDIRECT];
	if (strcmp(to, "none") == 0 || strcmp(to, host) == 0)
		to = "";
	strcpy(ret_to, to);
	return CH_OK;
}

int ch_work_check_redirect(
	struct ch_work *w, const char *name, const char *redirect, const char **ret_why)
{
	char host[TO_B];
	char next[TO_B];
	int hops = 0;

	*ret_why = NULL;
	if (!redirect[0] || strcmp(redirect, "none") == 0 || strlen(redirect) >= TO_B)
		return CH_OK;
	strcpy(host, redirect);
	for (;; hops++) {
		int rc = next_hop(w, name, redirect, host, next);

		if (rc)
			return rc;
		if (!next[0])
			return CH_OK;
		if (strcmp(next, name) == 0 || strcmp(next, redirect) == 0) {
			*ret_why = ch_arena_fmt(w->op->arena,
				"redirect: visitors would be sent round in a circle, since %s "
				"leads on to %s; change that one first",
				host, next);
			break;
		}
		if (hops == HOPS_MAX) {
			*ret_why = ch_arena_fmt(w->op->arena,
				"redirect: %s leads on to over %d other names, one after the "
				"other; redirect to the last of them",
				redirect, HOPS_MAX);
			break;
		}
		strcpy(host, next);
	}
	return *ret_why ? CH_OK : CH_ENOMEM;
}
