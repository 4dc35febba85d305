#include "store/sql_work.h"

#include <string.h>

uint64_t ch_work_id(struct ch_work *w)
{
	return ++w->tx.last_id;
}

void ch_work_due(struct ch_work *w, int64_t at_ms)
{
	w->tx.changed = true;
	if (at_ms < w->tx.change.due_ms)
		w->tx.change.due_ms = at_ms;
}

const char *ch_work_cut(struct ch_work *w, const char *text, size_t max_b)
{
	size_t len = strlen(text);
	const char *cut;

	if (len <= max_b)
		return text;
	while (max_b && ((uint8_t)text[max_b] & 0xc0) == 0x80)
		max_b--;
	cut = ch_arena_copy(w->op->arena, text, max_b);
	return cut ? cut : "";
}

int ch_work_history(struct ch_work *w, const char *name, const char *event, const char *detail,
	enum ch_actor actor)
{
	w->tx.changed = true;
	return ch_db_run(w->db,
		"INSERT INTO history (name, at, event, detail, actor) VALUES (?, ?, ?, ?, ?)",
		"tittt", name, w->now, event, ch_work_cut(w, detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(actor));
}

int ch_work_audit(struct ch_work *w, const char *action, const char *target)
{
	w->tx.changed = true;
	if (!w->op->who)
		return CH_OK;
	return ch_db_run(w->db,
		"INSERT INTO audit (at, who, action, target) VALUES (?, ?, ?, ?)", "ittt",
		w->now, w->op->who, action, target);
}
