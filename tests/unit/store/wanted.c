#include "wanted.h"

size_t want_all(struct fixture *fx, const char *pool, const char *const *names, size_t n)
{
	struct ch_store_op op = {.type = CH_OP_WANTED};

	op.u.wanted = (struct ch_op_wanted){.pool = pool, .names = names, .n_names = n};
	assert_ok(fx_run(fx, &op));
	return op.u.wanted.n_taken;
}

size_t want(struct fixture *fx, const char *name)
{
	return want_all(fx, "default", &name, 1);
}

struct many *many(struct fixture *fx, const char *name, size_t n)
{
	struct many *m = ch_arena_alloc(fx->arena, sizeof(*m));

	assert_non_null(m);
	for (m->n = 0; m->n < n; m->n++) {
		m->list[m->n] = m->names[m->n];
		snprintf(m->names[m->n], sizeof(m->names[0]), "%s-%04zu.example", name, m->n);
	}
	return m;
}

void import(struct fixture *fx, const struct many *m, const char *tenant)
{
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct ch_store_put_item *items = ch_arena_array(fx->arena, m->n, sizeof(*items));

	assert_non_null(items);
	for (size_t i = 0; i < m->n; i++) {
		items[i].name = m->list[i];
		items[i].tenant = tenant;
	}
	op.u.put.items = items;
	op.u.put.n_items = m->n;
	assert_ok(fx_run(fx, &op));
}

size_t want_many(struct fixture *fx, const struct many *m)
{
	size_t taken = 0;

	for (size_t i = 0; i < m->n; i += CH_STORE_WANTED_MAX)
		taken += want_all(fx, "default", m->list + i,
			m->n - i < CH_STORE_WANTED_MAX ? m->n - i : CH_STORE_WANTED_MAX);
	return taken;
}

struct ch_store_looking hand_out(struct fixture *fx, size_t most)
{
	struct ch_store_looking looking = {.most = most};
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .lease_ms = LEASE_MS, .looking = &looking};
	assert_ok(fx_run(fx, &op));
	return looking;
}

void bury(struct fixture *fx, const struct ch_store_look_key *key, int64_t next_at_ms)
{
	struct ch_store_outcome dead = {.name = key->name,
		.next_at_ms = next_at_ms,
		.failed = true,
		.check = true,
		.state = CH_NAME_FAILED,
		.reason = {"dns-no-address", "It has no address.", CH_ACTOR_CUSTOMER}};
	struct ch_store_looking looking = {
		.dead = &dead, .dead_until_ms = &key->until_ms, .n_dead = 1};
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .lease_ms = LEASE_MS, .looking = &looking};
	assert_ok(fx_run(fx, &op));
}
