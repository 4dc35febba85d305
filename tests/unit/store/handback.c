#include "handback.h"

void go_on_with(struct fixture *fx, const char *database)
{
	struct ch_store_options options = {
		.database = database, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};

	ch_store_close(fx->store);
	fx->store = NULL;
	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
}

void lose_and_restore(struct fixture *fx)
{
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];

	snprintf(path, sizeof(path), "%s/backup", fx->dir);
	assert_ok(ch_backup_write(fx->database, path, NULL, &info, &fx->err));
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
}

uint8_t other_leaf;

/* As an edge of this pool, one certificate of this version for the name. */
int hand_back(struct fixture *fx, const char *name, uint64_t version, const char *pool,
	struct ch_store_handback_item *ret_item)
{
	struct ch_store_order order = {.id = version, .n_names = 1};
	struct ch_store_handback_item item = {.name = name, .tenant = "acme"};
	struct ch_store_op op = {.type = CH_OP_HANDBACK,
		.u.handback = {.pool = pool, .items = &item, .n_items = 1}};
	int rc;

	order.names[0].name = name;
	item.publish = fx_publication(fx, &order, (uint8_t)(version + other_leaf));
	if (ret_item->publish)
		item.publish->not_after_ms = ret_item->publish->not_after_ms;
	rc = fx_run(fx, &op);
	*ret_item = item;
	return rc;
}

void assert_result(struct fixture *fx, const char *name, uint64_t version,
	enum ch_store_handback_result result)
{
	struct ch_store_handback_item item = {.publish = NULL};

	assert_ok(hand_back(fx, name, version, "default", &item));
	assert_int_equal(item.result, result);
}

void assert_no(struct fixture *fx, const char *name, uint64_t version, const char *pool,
	const char *code)
{
	struct ch_store_handback_item item = {.publish = NULL};

	assert_ok(hand_back(fx, name, version, pool, &item));
	assert_int_equal(item.result, CH_HANDBACK_REFUSED);
	assert_string_equal(item.code, code);
}

uint64_t live_version(struct fixture *fx, const char *name)
{
	struct ch_store_certs certs;

	assert_ok(ch_store_get_certs(fx->store, name, fx->arena, &certs));
	return certs.current ? certs.current->version : 0;
}
