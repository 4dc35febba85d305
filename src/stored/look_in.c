#include "stored/look_in.h"

#include "stored/present.h"

bool ch_reason_in_read(struct ch_json_in *from, enum ch_json_need need, const char *prefix,
	struct ch_store_reason *ret_reason)
{
	json_t *value = ch_json_in_object(from, "reason", need);
	struct ch_json_in in;
	const char *actor;

	if (!value)
		return false;
	ch_json_in_init(&in, value, prefix);
	ret_reason->code = ch_json_in_str(&in, "code", CH_JSON_REQUIRED, CH_STORE_CODE_MAX);
	ret_reason->detail =
		ch_json_in_str(&in, "detail", CH_JSON_REQUIRED, 4 * CH_STORE_DETAIL_MAX);
	actor = ch_json_in_str(&in, "actor", CH_JSON_REQUIRED, 16);
	if (actor && ch_actor_parse(actor, &ret_reason->actor))
		ch_json_in_fail(&in, "actor",
			"The actor must be nobody, customer, platform, operator or ca.");
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
	return true;
}

/* A name that is not registered, whatever it is, is passed over. */
static const char *read_name(struct ch_json_in *in, int64_t *ret_until_ms)
{
	*ret_until_ms = ch_json_in_int(in, "look", CH_JSON_REQUIRED, 1, CH_JSON_INT_MAX);
	return ch_json_in_str(in, "name", CH_JSON_REQUIRED, CH_NAME_MAX);
}

static void read_looked(struct ch_json_in *from, json_t *value, struct ch_store_look_key *key)
{
	struct ch_json_in in;

	ch_json_in_init(&in, value, "looked.");
	key->name = read_name(&in, &key->until_ms);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_dead(struct ch_json_in *from, json_t *value, struct ch_store_outcome *dead,
	int64_t *ret_until_ms)
{
	struct ch_json_in in;
	const char *state;

	ch_json_in_init(&in, value, "dead.");
	dead->name = read_name(&in, ret_until_ms);
	dead->failed = dead->check = true;
	dead->next_at_ms = ch_json_in_time(&in, "next_at", CH_JSON_OPTIONAL);
	dead->away = ch_json_in_bool(&in, "away", false);
	dead->state = CH_NAME_FAILED;
	state = ch_json_in_str(&in, "state", CH_JSON_OPTIONAL, 16);
	if (state && (ch_name_state_parse(state, &dead->state) ||
			     (dead->state != CH_NAME_FAILED && dead->state != CH_NAME_MOVED)))
		ch_json_in_fail(&in, "state", "The state must be failed or moved.");
	(void)ch_reason_in_read(&in, CH_JSON_REQUIRED, "dead.reason.", &dead->reason);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

struct ch_store_looking *ch_look_in_read(struct ch_req *req, struct ch_json_in *in)
{
	int64_t most = ch_json_in_int(in, "looks", CH_JSON_OPTIONAL, 0, CH_STORE_LOOKS_MAX);
	json_t *looked = ch_json_in_array(in, "looked", CH_JSON_OPTIONAL, CH_STORE_LOOKED_MAX);
	json_t *dead = ch_json_in_array(in, "dead", CH_JSON_OPTIONAL, CH_STORE_LOOKED_MAX);
	struct ch_store_looking *looking;
	struct ch_store_look_key *keys;
	struct ch_store_outcome *outcomes;
	int64_t *until_ms;

	if (!ch_json_in_has(in, "looks") && !looked && !dead)
		return NULL;
	looking = ch_arena_alloc(req->arena, sizeof(*looking));
	keys = ch_arena_array(req->arena, json_array_size(looked) + 1, sizeof(*keys));
	outcomes = ch_arena_array(req->arena, json_array_size(dead) + 1, sizeof(*outcomes));
	until_ms = ch_arena_array(req->arena, json_array_size(dead) + 1, sizeof(*until_ms));
	if (!looking || !keys || !outcomes || !until_ms) {
		ch_json_in_fail(in, "looks", "Out of memory.");
		return NULL;
	}
	looking->most = (size_t)most;
	looking->looked = keys;
	looking->n_looked = json_array_size(looked);
	for (size_t i = 0; i < looking->n_looked; i++)
		read_looked(in, json_array_get(looked, i), &keys[i]);
	looking->dead = outcomes;
	looking->dead_until_ms = until_ms;
	looking->n_dead = json_array_size(dead);
	for (size_t i = 0; i < looking->n_dead; i++)
		read_dead(in, json_array_get(dead, i), &outcomes[i], &until_ms[i]);
	return looking;
}

json_t *ch_look_in_present(const struct ch_store_looking *looking)
{
	json_t *array = json_array();

	for (size_t i = 0; array && looking && i < looking->n_looks; i++) {
		const struct ch_store_look *look = &looking->looks[i];

		if (json_array_append_new(array,
			    json_pack("{s:s, s:I, s:I, s:I, s:o, s:o}", "name", look->key.name,
				    "look", (json_int_t)look->key.until_ms, "failures",
				    (json_int_t)look->failures, "checks_failed",
				    (json_int_t)look->checks_failed, "away_since",
				    ch_present_time(look->away_since_ms), "needed_by",
				    ch_present_time(look->needed_by_ms)))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}
