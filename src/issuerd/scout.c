#include "issuerd/scout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/ladder.h"
#include "issuerd/step.h"
#include "wire/record.h"

#define LOOKS_MOST 1000
/* So many are known to be good that workers have enough to do. */
#define ALIVE_ENOUGH 512
#define DEAD_ENOUGH 4096
/* Who comes now is not to wait behind all that came before. */
#define NEXT_ENOUGH 500
/* Nobody waits for dead names: they are told in batches. */
#define DEAD_EACH_MS INT64_C(250)
/* So many are logged one by one. */
#define DEAD_LINES 8
/* A store of before may be replaced by its next version. */
#define OFF_MS (10 * CH_MINUTE_MS)
/* It refuses what we tell it: orders meanwhile go on without. */
#define SHORTLY_OFF_MS (5 * CH_SECOND_MS)

int ch_scout_new(struct ch_issuer *issuer, struct ch_scout **ret_scout)
{
	struct ch_scout *scout;

	*ret_scout = NULL;
	if (!ch_issuer_scouts(issuer))
		return CH_OK;
	scout = calloc(1, sizeof(*scout));
	if (!scout)
		return CH_ENOMEM;
	scout->issuer = issuer;
	scout->alive = calloc(CH_SCOUT_BATCH, sizeof(*scout->alive));
	scout->dead = calloc(CH_SCOUT_BATCH, sizeof(*scout->dead));
	if (!scout->alive || !scout->dead) {
		ch_scout_free(scout);
		return CH_ENOMEM;
	}
	*ret_scout = scout;
	return CH_OK;
}

void ch_scout_free(struct ch_scout *scout)
{
	if (!scout)
		return;
	free(scout->alive);
	free(scout->dead);
	free(scout);
}

void ch_scout_plan(struct ch_scout *scout, bool may_order)
{
	struct ch_preflight *preflight = scout->issuer->preflight;
	struct ch_preflight_counts counts;
	int64_t now_ms = ch_mono_ms();
	bool tell_dead;

	ch_preflight_counts(preflight, &counts);
	tell_dead =
		counts.dead >= CH_SCOUT_BATCH || now_ms - scout->dead_told_ms >= DEAD_EACH_MS;
	scout->on = now_ms >= scout->off_until_ms;
	scout->busy = scout->on && counts.open + counts.alive + counts.dead > 0;
	scout->ready = scout->on && counts.alive > 0;
	scout->n_alive = scout->on && may_order ? ch_preflight_scouted(preflight, false,
							  scout->alive, CH_SCOUT_BATCH)
						: 0;
	scout->n_dead = scout->on && tell_dead ? ch_preflight_scouted(preflight, true,
							 scout->dead, CH_SCOUT_BATCH)
					       : 0;
	scout->looks = 0;
	if (scout->on && counts.alive < ALIVE_ENOUGH && counts.dead < DEAD_ENOUGH &&
		counts.next < NEXT_ENOUGH)
		scout->looks = counts.room < LOOKS_MOST ? counts.room : LOOKS_MOST;
}

static void judge(const struct ch_scout *scout, const struct ch_scouted *one,
	struct ch_verdict *ret_verdict)
{
	const struct ch_look *look = &one->look;
	const struct ch_retried name = {.name = one->name,
		.failures = look->checks_failed,
		.salt = (uint64_t)look->until_ms,
		.left_ms = look->needed_by_ms ? look->needed_by_ms - ch_now_ms() : 0};

	ch_verdict_preflight(scout->issuer->config, &name, one->result.away,
		look->away_since_ms, &one->result.err, ret_verdict);
}

static json_t *dead_json(const struct ch_scout *scout, const struct ch_scouted *one)
{
	char next_at[CH_TIME_STR_B];
	struct ch_verdict v;

	judge(scout, one, &v);
	return json_pack("{sssIsssbssso}", "name", one->name, "look",
		(json_int_t)one->look.until_ms, "state",
		ch_name_state_str(v.moved ? CH_NAME_MOVED : CH_NAME_FAILED), "away",
		(int)v.away, "next_at", ch_time_str(ch_api_store_ms(v.next_at_ms), next_at),
		"reason", ch_write_reason(&v.reason));
}

int ch_scout_add(const struct ch_scout *scout, json_t *body)
{
	json_t *looked = json_array();
	json_t *dead = json_array();
	bool bad = json_object_set_new(body, "looked", looked) != 0;

	bad |= json_object_set_new(body, "dead", dead) != 0;
	bad |= json_object_set_new(body, "looks", json_integer((json_int_t)scout->looks)) != 0;
	for (size_t i = 0; !bad && i < scout->n_alive; i++)
		bad = json_array_append_new(
			looked, json_pack("{sssI}", "name", scout->alive[i].name, "look",
					(json_int_t)scout->alive[i].look.until_ms));
	for (size_t i = 0; !bad && i < scout->n_dead; i++)
		bad = json_array_append_new(dead, dead_json(scout, &scout->dead[i]));
	return bad ? CH_ENOMEM : CH_OK;
}

/* Each name's status says why; thousands of lines at once would hide what else happens. */
static void log_dead(const struct ch_scout *scout)
{
	size_t n = scout->n_dead <= DEAD_LINES ? scout->n_dead : 1;

	for (size_t i = 0; i < n; i++) {
		const struct ch_err *why = &scout->dead[i].result.err;

		ch_log_info("name=%s looked at, no order: reason=%s: %s", scout->dead[i].name,
			why->problem, why->detail);
	}
	if (scout->n_dead > n)
		ch_log_info("and %zu more names looked at, no order: `certherd domain list "
			    "--state failed` shows why",
			scout->n_dead - n);
}

static void told_dead(struct ch_scout *scout)
{
	log_dead(scout);
	ch_figures_dead(&scout->issuer->figures, scout->n_dead);
	ch_preflight_told(scout->issuer->preflight, scout->dead, scout->n_dead);
	if (scout->n_dead)
		scout->dead_told_ms = ch_mono_ms();
}

/* What cannot be read is left out: the store hands it out again. */
static void begin(struct ch_scout *scout, const json_t *doc)
{
	const json_t *until = json_object_get(doc, "look");
	const char *since = json_string_value(json_object_get(doc, "away_since"));
	const char *needed = json_string_value(json_object_get(doc, "needed_by"));
	json_int_t failures = json_integer_value(json_object_get(doc, "failures"));
	json_int_t checks = json_integer_value(json_object_get(doc, "checks_failed"));
	struct ch_look look = {.name = json_string_value(json_object_get(doc, "name")),
		.until_ms = json_integer_value(until),
		.failures = (uint64_t)failures,
		.checks_failed = (uint64_t)checks};

	if (!look.name || look.until_ms <= 0 || failures < 0 || checks < 0 ||
		ch_record_check_name(look.name, strlen(look.name)) ||
		(since && ch_time_parse(since, &look.away_since_ms)) ||
		(needed && ch_time_parse(needed, &look.needed_by_ms)))
		ch_log_error("a name that the store would have looked at cannot be read");
	else
		ch_preflight_scout(scout->issuer->preflight, &look);
}

bool ch_scout_answered(struct ch_scout *scout, const json_t *answer)
{
	const json_t *looks = json_object_get(answer, "looks");
	json_int_t dealt = json_integer_value(json_object_get(answer, "looked"));
	size_t n = dealt < 0			    ? 0
		   : (size_t)dealt > scout->n_alive ? scout->n_alive
						    : (size_t)dealt;
	bool news = n || scout->n_dead || json_array_size(looks);

	told_dead(scout);
	ch_preflight_told(scout->issuer->preflight, scout->alive, n);
	for (size_t i = 0; i < json_array_size(looks) && i < scout->looks; i++)
		begin(scout, json_array_get(looks, i));
	return news;
}

bool ch_scout_is_unknown(const struct ch_err *err, const char *field)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", field);
	return strcmp(err->problem, "unknown-field") == 0 && strstr(err->detail, quoted);
}

void ch_scout_refused(struct ch_scout *scout, const struct ch_err *err)
{
	int64_t now_ms = ch_mono_ms();

	if (ch_scout_is_unknown(err, "looks") || ch_scout_is_unknown(err, "looked") ||
		ch_scout_is_unknown(err, "dead")) {
		ch_log_info("the store takes no looks at names, as an older one does not, and "
			    "they get orders at once for 10 minutes: %s",
			err->detail);
		scout->off_until_ms = now_ms + OFF_MS;
		return;
	}
	ch_log_warn("the store refuses a lease; the next ones are without looks at names, for "
		    "some seconds: %s",
		err->detail);
	scout->off_until_ms = now_ms + SHORTLY_OFF_MS;
}
