#include "fixture.h"

#include <dirent.h>
#include <libpq-fe.h>

#include "base/buf.h"
#include "store/db_postgres.h"
#include "store/db_sqlite.h"

int64_t test_now_ms = START_MS;
static enum { NO_DATABASE, ALTERED, MADE } database;

static int64_t test_clock(void *arg)
{
	return __atomic_load_n(&test_now_ms, __ATOMIC_RELAXED);
}

static void open_store(struct fixture *fx)
{
	/* Each reader is a process of the server. */
	struct ch_store_options options = {.database = fx->database,
		.edge_timeout_ms = EDGE_TIMEOUT_MS,
		.readers = fx_is_postgres() ? 2 : 0};

	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
}

bool fx_is_postgres(void)
{
	return getenv("CERTHERD_TEST_POSTGRES") != NULL;
}

static void run_on(const char *url, const char *sql)
{
	PGconn *conn = PQconnectdb(url);
	PGresult *result;

	PQclear(PQexec(conn, "SET client_min_messages = warning"));
	result = PQexec(conn, sql);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	PQclear(result);
	PQfinish(conn);
}

static void run_on_server(const char *verb, const char *name, const char *how)
{
	char url[128];
	char sql[128];

	snprintf(url, sizeof(url), "%s/postgres", getenv("CERTHERD_TEST_POSTGRES"));
	snprintf(sql, sizeof(sql), "%s \"%s\" %s", verb, name, how);
	run_on(url, sql);
}

void fx_rewrite(struct fixture *fx, const char *sql)
{
	struct ch_db *db;

	if (fx_is_postgres()) {
		if (strncmp(sql, "ALTER", 5) == 0)
			database = ALTERED;
		run_on(fx->database, sql);
		return;
	}
	assert_ok(ch_db_sqlite_open(
		fx->database + strlen("sqlite:"), SQLITE_OPEN_READWRITE, &db, &fx->err));
	assert_ok(ch_db_run(db, sql, ""));
	ch_db_close(db);
}

/* What a store that was just made has in it. */
static const char keep_rows[] =
	"CREATE SCHEMA made; DO 'DECLARE one text; used boolean; BEGIN FOR one IN SELECT "
	"tablename FROM pg_tables WHERE schemaname = ''public'' LOOP EXECUTE "
	"format(''SELECT EXISTS (SELECT 1 FROM %I)'', one) INTO used; IF used THEN EXECUTE "
	"format(''CREATE TABLE made.%I AS TABLE public.%I'', one, one); END IF; END LOOP; END'";
/* Without triggers: what they would write is not there afterwards either. */
static const char make_anew[] =
	"DO 'DECLARE one text; BEGIN SET LOCAL session_replication_role = replica; FOR one IN "
	"SELECT tablename FROM pg_tables WHERE schemaname = ''public'' LOOP IF "
	"pg_relation_size(format(''public.%I'', one)) > 100000 THEN EXECUTE format(''TRUNCATE "
	"public.%I'', one); ELSE EXECUTE format(''DELETE FROM public.%I'', one); END IF; END "
	"LOOP; FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = ''made'' LOOP "
	"EXECUTE format(''INSERT INTO public.%I SELECT * FROM made.%I'', one, one); END LOOP; "
	"PERFORM setval(format(''public.%I'', sequencename)::regclass, 1, false) FROM "
	"pg_sequences WHERE schemaname = ''public''; END'";
/* A test that failed may have left connections behind. */
static const char let_go[] =
	"DO 'BEGIN PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE "
	"datname "
	"= current_database() AND pid <> pg_backend_pid() AND backend_type = ''client "
	"backend''; END'";

/* One database for all tests of a program, and one schema for all that do not alter it: to make
 * one takes PostgreSQL longer than most of the tests.  The server is the tests' own, and goes
 * with it. */
static void begin_database(const char *url, const char *name)
{
	if (database == NO_DATABASE) {
		run_on_server("CREATE DATABASE", name, "");
		return;
	}
	run_on(url, let_go);
	if (database == MADE) {
		run_on(url, make_anew);
		return;
	}
	run_on(url,
		"DROP SCHEMA public CASCADE; DROP SCHEMA made CASCADE; CREATE SCHEMA public");
}

static void database_is_made(const char *url)
{
	if (database != MADE)
		run_on(url, keep_rows);
	database = MADE;
}

/* CERTHERD_TEST_POSTGRES is the URL of a server, without a database's name. */
static void name_database(struct fixture *fx)
{
	char name[32];

	if (!fx_is_postgres()) {
		snprintf(fx->database, sizeof(fx->database), "sqlite:%s/test.db", fx->dir);
		return;
	}
	snprintf(name, sizeof(name), "store-%d", (int)getpid());
	snprintf(fx->database, sizeof(fx->database), "%s/%s", getenv("CERTHERD_TEST_POSTGRES"),
		name);
	begin_database(fx->database, name);
}

int fx_setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	snprintf(fx->dir, sizeof(fx->dir), "/tmp/certherd-store-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	name_database(fx);
	test_now_ms = START_MS;
	ch_clock_set(test_clock, NULL);
	ch_db_postgres_doubts = getenv("CERTHERD_TEST_DOUBT") != NULL;
	assert_ok(ch_arena_new(0, &fx->arena));
	open_store(fx);
	if (fx_is_postgres())
		database_is_made(fx->database);
	*state = fx;
	return 0;
}

static void other_name(struct fixture *fx, char ret_name[FX_URL_B])
{
	snprintf(ret_name, FX_URL_B, "%s-other", fx->dir + strlen("/tmp/certherd-"));
}

void fx_other_database(struct fixture *fx, char ret_database[FX_URL_B])
{
	char name[FX_URL_B];

	if (!fx_is_postgres()) {
		snprintf(ret_database, FX_URL_B, "sqlite:%s/other.db", fx->dir);
		return;
	}
	other_name(fx, name);
	run_on_server("CREATE DATABASE", name, "");
	fx->has_other = true;
	snprintf(ret_database, FX_URL_B, "%.90s/%.90s", getenv("CERTHERD_TEST_POSTGRES"), name);
}

void fx_remove_dir(const char *dir)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	char path[512];

	while (entries && (entry = readdir(entries))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (entries)
		closedir(entries);
	rmdir(dir);
}

int fx_teardown(void **state)
{
	struct fixture *fx = *state;

	ch_store_close(fx->store);
	ch_arena_free(fx->arena);
	if (fx->has_other) {
		char other[FX_URL_B];

		other_name(fx, other);
		run_on_server("DROP DATABASE", other, "WITH (FORCE)");
	}
	fx_remove_dir(fx->dir);
	free(fx);
	return 0;
}

void fx_reopen(struct fixture *fx)
{
	ch_store_close(fx->store);
	fx->store = NULL;
	open_store(fx);
}

int fx_run(struct fixture *fx, struct ch_store_op *op)
{
	int rc;

	op->arena = fx->arena;
	rc = ch_store_run(fx->store, op);
	fx->err = op->err;
	assert_int_equal(rc, op->rc);
	if (rc)
		assert_string_not_equal(op->err.problem, "");
	return rc;
}

struct ch_op_housekeep fx_housekeep(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP};

	op.u.housekeep = (struct ch_op_housekeep){.tombstone_keep_ms = CH_DAY_MS,
		.history_keep_ms = CH_DAY_MS,
		.orders_keep_ms = CH_DAY_MS,
		.audit_keep_ms = CH_DAY_MS};
	assert_ok(fx_run(fx, &op));
	return op.u.housekeep;
}

int fx_put(struct fixture *fx, const char *name, enum ch_store_tri www, const char *tenant,
	const char *pool, struct ch_store_put_item *ret_item)
{
	struct ch_store_put_item item = {
		.name = name, .www = www, .tenant = tenant, .pool = pool};
	struct ch_store_op op = {.type = CH_OP_PUT, .who = "operator/default/admin"};
	int rc;

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	rc = fx_run(fx, &op);
	if (ret_item)
		*ret_item = item;
	return rc;
}

int fx_put_keys(struct fixture *fx, const char *name, enum ch_store_tri www, enum ch_keys keys,
	struct ch_store_put_item *ret_item)
{
	struct ch_store_put_item item = {
		.name = name, .www = www, .has_keys = true, .keys = keys};
	struct ch_store_op op = {.type = CH_OP_PUT, .who = "operator/default/admin"};
	int rc;

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	rc = fx_run(fx, &op);
	if (ret_item)
		*ret_item = item;
	return rc;
}

int fx_name_op(struct fixture *fx, enum ch_store_op_type type, const char *name)
{
	struct ch_store_op op = {.type = type, .who = "operator/default/admin"};

	op.u.name.name = name;
	return fx_run(fx, &op);
}

int fx_patch(struct fixture *fx, struct ch_op_patch *patch)
{
	struct ch_store_op op = {.type = CH_OP_PATCH};
	int rc;

	op.u.patch = *patch;
	rc = fx_run(fx, &op);
	patch->answer = op.u.patch.answer;
	return rc;
}

int fx_ack(struct fixture *fx, const char *pool, const char *id, uint64_t seq)
{
	struct ch_store_op op = {.type = CH_OP_EDGE_ACK};

	op.u.edge_ack = (struct ch_op_edge_ack){
		.pool = pool, .id = id, .seq = seq, .names = 3, .software = "test"};
	memcpy(op.u.edge_ack.epoch, fx_feed_info(fx).epoch, CH_EPOCH_B);
	return fx_run(fx, &op);
}

void fx_add(struct fixture *fx, const char *name)
{
	struct ch_store_put_item item;

	assert_ok(fx_put(fx, name, CH_TRI_KEEP, NULL, NULL, &item));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

void fx_add_pair(struct fixture *fx, const char *name)
{
	struct ch_store_put_item item;

	assert_ok(fx_put(fx, name, CH_TRI_YES, NULL, NULL, &item));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

struct ch_store_domain fx_get(struct fixture *fx, const char *name)
{
	struct ch_store_domain domain;

	assert_ok(ch_store_get_domain(fx->store, name, fx->arena, &domain));
	return domain;
}

struct ch_store_order *fx_lease(struct fixture *fx, size_t max, size_t *ret_n)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .max = max, .lease_ms = LEASE_MS};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.lease.now_ms, test_now_ms);
	*ret_n = op.u.lease.n_orders;
	return op.u.lease.orders;
}

struct ch_store_order *fx_lease_one(struct fixture *fx)
{
	struct ch_store_order *orders;
	size_t n;

	orders = fx_lease(fx, 10, &n);
	assert_int_equal(n, 1);
	return orders;
}

void fx_lease_none(struct fixture *fx)
{
	size_t n;

	fx_lease(fx, 10, &n);
	assert_int_equal(n, 0);
}

void fx_seal(struct fixture *fx, const struct ch_store_order *order)
{
	struct ch_op_patch patch = {.id = order->id,
		.fence = order->fence,
		.has_state = true,
		.state = CH_ORDER_SEALED,
		.keep_lease = true,
		.csr = (const uint8_t *)"csr",
		.csr_len = 3,
		.sealed = (const uint8_t *)"sealed",
		.sealed_len = 6};

	assert_ok(fx_patch(fx, &patch));
}

void fx_finish(struct fixture *fx, const struct ch_store_order *order)
{
	struct ch_op_patch patch = {.id = order->id,
		.fence = order->fence,
		.has_state = true,
		.state = CH_ORDER_DONE};

	assert_ok(fx_patch(fx, &patch));
}

void fx_issue(struct fixture *fx, const struct ch_store_order *order)
{
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->id)));
	fx_finish(fx, order);
}

void fx_issue_four(struct fixture *fx, const char *name)
{
	struct ch_store_put_item item = {
		.name = name, .standby = "backup", .has_keys = true, .keys = CH_KEYS_BOTH};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	assert_ok(fx_run(fx, &op));
	for (int i = 0; i < 4; i++) {
		op = (struct ch_store_op){.type = CH_OP_LEASE};
		op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
			.max = 2,
			.lease_ms = LEASE_MS,
			.pace = {.account = "one.test/a", .ca = "main"},
			.fallback = {{.account = "two.test/a", .ca = "backup"}},
			.n_fallback = 1,
			.second_standbys = true};
		assert_ok(fx_run(fx, &op));
		assert_int_equal(op.u.lease.n_orders, 1);
		fx_issue(fx, op.u.lease.orders);
	}
}

struct ch_store_pool_head fx_pool_head(struct fixture *fx, const char *pool)
{
	struct ch_store_pool_head head;

	assert_ok(ch_store_pool_head(fx->store, pool, &head));
	return head;
}

struct ch_store_feed_info fx_feed_info(struct fixture *fx)
{
	struct ch_store_feed_info info;

	assert_ok(ch_store_read_feed(fx->store, "default", 0, NULL, NULL, &info));
	return info;
}

static void make_record(struct fixture *fx, const struct ch_op_publish *publish, bool second,
	uint64_t key_version, const char *name, struct ch_store_record_bytes *ret_bytes)
{
	static const uint8_t zeros[CH_SIGNATURE_B];
	static const uint8_t recipient[CH_RECIPIENT_ID_B] = "recipien";
	uint8_t chain_id[CH_CHAIN_ID_B];
	struct ch_record record = {.kind = second ? CH_RECORD_SECOND : CH_RECORD_CERT,
		.version = publish->id,
		.key_version = key_version,
		.name = name,
		.name_len = strlen(name),
		.chain_id = chain_id,
		.leaf = publish->leaf,
		.leaf_len = publish->leaf_len,
		.signer_id = zeros,
		.n_sealed = 1};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;

	record.sealed[0] = (struct ch_sealed_view){.recipient_id = recipient,
		.kem_id = 32,
		.enc = zeros,
		.enc_len = 32,
		.ct = zeros,
		.ct_len = 48};
	assert_ok(ch_chain_id(publish->chain, publish->chain_len, chain_id));
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_ok(ch_record_encode(&record, &buf));
	assert_ok(ch_buf_add(&buf, zeros, sizeof(zeros)));
	ret_bytes->bytes = ch_arena_copy(fx->arena, buf.data, buf.len);
	ret_bytes->len = buf.len;
}

/* A roll-back's record has the old key. */
static uint64_t key_version_of(const struct ch_store_old *from, uint64_t id, size_t at)
{
	struct ch_record old;

	if (!from->version || !from->records[at])
		return from->version ? from->version : id;
	assert_ok(ch_record_decode(from->records[at], from->record_lens[at], &old));
	return old.key_version;
}

static struct ch_op_publish *make_publication(struct fixture *fx,
	const struct ch_store_order *order, bool second, const struct ch_store_old *old,
	uint8_t leaf_byte)
{
	static const uint8_t chain[] = {1, 0, 4, 'c', 'e', 'r', 't'};
	struct ch_op_publish *publish = ch_arena_alloc(fx->arena, sizeof(*publish));
	uint8_t *leaf = ch_arena_alloc(fx->arena, 100);
	struct ch_store_record_bytes *records =
		ch_arena_array(fx->arena, order->n_names, sizeof(*records));

	assert_non_null(publish);
	memset(leaf, leaf_byte, 100);
	*publish = (struct ch_op_publish){.id = order->id + (old == &order->old_second ? 1 : 0),
		.fence = order->fence,
		.leaf = leaf,
		.leaf_len = 100,
		.chain = chain,
		.chain_len = sizeof(chain),
		.records = records,
		.n_records = order->n_names,
		.renew_at_ms = test_now_ms + RENEW_MS,
		.serial = "0a0b",
		.issuer = "CN=Test",
		.not_before_ms = test_now_ms,
		.not_after_ms = test_now_ms + LIFETIME_MS};
	memset(publish->spki_sha256, leaf_byte, sizeof(publish->spki_sha256));
	for (size_t i = 0; i < order->n_names; i++)
		make_record(fx, publish, second, key_version_of(old, publish->id, i),
			order->names[i].name, &records[i]);
	return publish;
}

/* Of what was live before. */
static uint8_t leaf_byte_of(const struct ch_store_old *old)
{
	struct ch_record record;

	for (size_t i = 0; i < CH_STORE_ORDER_NAMES_MAX; i++)
		if (old->records[i]) {
			assert_ok(ch_record_decode(
				old->records[i], old->record_lens[i], &record));
			return record.leaf[0];
		}
	return 77;
}

struct ch_op_publish *fx_publication(
	struct fixture *fx, const struct ch_store_order *order, uint8_t leaf_byte)
{
	struct ch_op_publish *publish =
		make_publication(fx, order, order->second, &order->old, leaf_byte);

	if (order->old_second.version)
		publish->second = make_publication(
			fx, order, true, &order->old_second, leaf_byte_of(&order->old_second));
	return publish;
}

int fx_publish(struct fixture *fx, const struct ch_op_publish *publish)
{
	struct ch_store_op op = {.type = CH_OP_PUBLISH};
	int rc;

	op.u.publish = *publish;
	rc = fx_run(fx, &op);
	if (!rc)
		assert_int_equal(op.u.publish.answer.id, publish->id);
	return rc;
}

struct ch_op_patch fx_step(const struct ch_store_order *order, enum ch_order_state state)
{
	return (struct ch_op_patch){
		.id = order->id, .fence = order->fence, .has_state = true, .state = state};
}

struct ch_store_order fx_get_order(struct fixture *fx, uint64_t id)
{
	struct ch_store_order order;

	assert_ok(ch_store_get_order(fx->store, id, fx->arena, &order));
	return order;
}

void fx_refuse(struct fixture *fx, const struct ch_store_order *order,
	const struct ch_store_limited *limited)
{
	struct ch_store_outcome outcome = {.name = order->names[0].name,
		.state = CH_NAME_FAILED,
		.next_at_ms = test_now_ms,
		.reason = {"ca-next", "Another CA is asked.", CH_ACTOR_NOBODY}};
	struct ch_op_patch patch = fx_step(order, CH_ORDER_FAILED);

	patch.limited = *limited;
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
}
