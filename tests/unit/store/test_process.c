/* Many writers, a full queue, crashes: what is acknowledged stays. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define THREADS 8
#define NAMES_EACH 150

struct worker {
	struct fixture *fx;
	pthread_t thread;
	int number;
	int failures;
};

static int put_one(struct ch_store *store, const char *name)
{
	struct ch_store_put_item item = {.name = name};
	struct ch_store_op op = {.type = CH_OP_PUT};
	int rc;

	if (ch_arena_new(0, &op.arena))
		return CH_ENOMEM;
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	rc = ch_store_run(store, &op);
	ch_arena_free(op.arena);
	return rc;
}

static int delete_one(struct ch_store *store, const char *name)
{
	struct ch_store_op op = {.type = CH_OP_DELETE};
	int rc;

	if (ch_arena_new(0, &op.arena))
		return CH_ENOMEM;
	op.u.name.name = name;
	rc = ch_store_run(store, &op);
	ch_arena_free(op.arena);
	return rc;
}

/* Adds names, removes every third; whatever is done must be seen at once. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	struct ch_store *store = worker->fx->store;

	for (int i = 0; i < NAMES_EACH; i++) {
		CH_AUTO_ARENA struct ch_arena *arena = NULL;
		struct ch_store_domain domain;
		char name[64];

		snprintf(name, sizeof(name), "w%d-%d.example", worker->number, i);
		worker->failures += ch_arena_new(0, &arena) != CH_OK;
		worker->failures += put_one(store, name) != CH_OK;
		worker->failures += ch_store_get_domain(store, name, arena, &domain) != CH_OK;
		if (i % 3)
			continue;
		worker->failures += delete_one(store, name) != CH_OK;
		worker->failures +=
			ch_store_get_domain(store, name, arena, &domain) != CH_ENOTFOUND;
	}
	return NULL;
}

struct follower {
	struct ch_store *store;
	uint64_t after;
	size_t rows;
	int out_of_order;
};

static int follow_row(const struct ch_store_feed_row *row, void *arg)
{
	struct follower *follower = arg;

	follower->out_of_order += row->seq <= follower->after;
	follower->after = row->seq;
	follower->rows++;
	return 0;
}

/* Reads the feed while it grows: at the end it must have been at every name. */
static void *follow(void *arg)
{
	struct follower *follower = arg;
	struct ch_store_feed_info info;

	/* Each worker makes NAMES_EACH records and replaces a third of them. */
	do {
		if (ch_store_read_feed(follower->store, "default", follower->after, follow_row,
			    follower, &info))
			follower->out_of_order++;
	} while (info.head < THREADS * (NAMES_EACH + NAMES_EACH / 3) ||
		 follower->after < info.head);
	return NULL;
}

/* Counters, names and feed tell the same story. */
static void check_consistent(struct fixture *fx)
{
	struct ch_store_domain_filter filter = {.limit = CH_STORE_LIST_MAX};
	struct follower follower = {.store = fx->store};
	struct ch_store_domain_page page;
	struct ch_store_feed_info info;
	struct ch_store_status status;
	size_t n = 0;

	do {
		assert_ok(ch_store_list_domains(fx->store, &filter, fx->arena, &page));
		for (size_t i = 0; i < page.n_domains; i++)
			assert_true(page.domains[i].version > 0);
		n += page.n_domains;
		filter.after = page.after;
	} while (filter.after);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names_total, n);
	assert_ok(ch_store_read_feed(fx->store, "default", 0, follow_row, &follower, &info));
	assert_int_equal(follower.out_of_order, 0);
	assert_true(follower.after <= info.head);
	assert_true(follower.rows >= n);
}

static void eight_writers_and_a_reader_agree(void **state)
{
	struct fixture *fx = *state;
	struct follower follower = {.store = fx->store};
	struct worker workers[THREADS];
	struct ch_store_status status;
	pthread_t reader;

	assert_int_equal(pthread_create(&reader, NULL, follow, &follower), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.fx = fx, .number = i};
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].failures, 0);
	}
	pthread_join(reader, NULL);
	assert_int_equal(follower.out_of_order, 0);
	assert_true(follower.rows >= THREADS * NAMES_EACH);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names_total, THREADS * (NAMES_EACH - NAMES_EACH / 3));
	check_consistent(fx);
}

/* done() holds the backend's thread until the gate opens. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool waiting;
	bool open;
};

static void wait_at_gate(struct ch_store_op *op, void *user)
{
	struct gate *gate = user;

	pthread_mutex_lock(&gate->lock);
	gate->waiting = true;
	pthread_cond_broadcast(&gate->cond);
	while (!gate->open)
		pthread_cond_wait(&gate->cond, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void count_done(struct ch_store_op *op, void *user)
{
	__atomic_add_fetch((int *)user, 1, __ATOMIC_SEQ_CST);
}

static void close_gate(struct fixture *fx, struct gate *gate, struct ch_store_op *op)
{
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->cond, NULL);
	*op = (struct ch_store_op){
		.type = CH_OP_RETRY, .arena = fx->arena, .done = wait_at_gate, .user = gate};
	op->u.name.name = "none.example";
	assert_ok(ch_store_submit(fx->store, op));
	pthread_mutex_lock(&gate->lock);
	while (!gate->waiting)
		pthread_cond_wait(&gate->cond, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->cond);
	pthread_mutex_unlock(&gate->lock);
}

static void a_full_queue_says_so_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_options options = {.database = fx->database, .queue_max = 3};
	struct ch_store_op ops[4], first;
	struct gate gate = {.open = false};
	int done = 0;

	ch_store_close(fx->store);
	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
	close_gate(fx, &gate, &first);
	for (int i = 0; i < 4; i++) {
		ops[i] = (struct ch_store_op){.type = CH_OP_RETRY,
			.arena = fx->arena,
			.done = count_done,
			.user = &done};
		ops[i].u.name.name = "none.example";
		assert_int_equal(
			ch_store_submit(fx->store, &ops[i]), i < 3 ? CH_OK : CH_EAGAIN);
	}
	assert_string_equal(ops[3].err.problem, "store-busy");
	open_gate(&gate);
	/* Closing writes what is queued. */
	ch_store_close(fx->store);
	fx->store = NULL;
	assert_int_equal(done, 3);
	assert_int_equal(ops[2].rc, CH_ENOTFOUND);
}

static void one_bad_operation_does_not_harm_its_neighbours(void **state)
{
	struct fixture *fx = *state;
	static const char *const names[] = {"a.example", "none.example", "b.example"};
	struct ch_store_put_item items[3] = {{.name = "a.example"}, {0}, {.name = "b.example"}};
	struct ch_store_op ops[3], first;
	struct gate gate = {.open = false};
	int done = 0;

	close_gate(fx, &gate, &first);
	for (int i = 0; i < 3; i++) {
		ops[i] = (struct ch_store_op){.type = i == 1 ? CH_OP_DELETE : CH_OP_PUT,
			.arena = fx->arena,
			.done = count_done,
			.user = &done};
		if (i == 1)
			ops[i].u.name.name = names[i];
		else
			ops[i].u.put = (struct ch_op_put){.items = &items[i], .n_items = 1};
		assert_ok(ch_store_submit(fx->store, &ops[i]));
	}
	open_gate(&gate);
	fx_add(fx, "last.example"); /* in the order of submission: all done by now */
	assert_int_equal(__atomic_load_n(&done, __ATOMIC_SEQ_CST), 3);
	assert_int_equal(ops[0].rc, CH_OK);
	assert_int_equal(ops[1].rc, CH_ENOTFOUND);
	assert_int_equal(ops[2].rc, CH_OK);
	fx_get(fx, "a.example");
	fx_get(fx, "b.example");
	check_consistent(fx);
}

/* Two steps of programs, which may wait for company. */
struct patient {
	struct gate gate;
	struct ch_store_op first;
	struct ch_store_op ops[2];
	int done;
};

static void submit_patient(struct fixture *fx, struct patient *p)
{
	close_gate(fx, &p->gate, &p->first);
	for (int i = 0; i < 2; i++) {
		p->ops[i] = (struct ch_store_op){.type = CH_OP_LEASE,
			.arena = fx->arena,
			.done = count_done,
			.user = &p->done};
		p->ops[i].u.lease =
			(struct ch_op_lease){.issuer = "i", .max = 1, .lease_ms = LEASE_MS};
		assert_ok(ch_store_submit(fx->store, &p->ops[i]));
	}
	open_gate(&p->gate);
}

static void what_can_wait_is_written_before_what_comes_after_it(void **state)
{
	struct fixture *fx = *state;
	struct patient p = {.done = 0};

	submit_patient(fx, &p);
	fx_add(fx, "a.example");
	assert_int_equal(__atomic_load_n(&p.done, __ATOMIC_SEQ_CST), 2);
	assert_int_equal(p.ops[0].rc, CH_OK);
	assert_int_equal(p.ops[1].u.lease.n_orders, 0);
}

static void what_can_wait_does_not_outlast_the_store(void **state)
{
	struct fixture *fx = *state;
	struct patient p = {.done = 0};

	fx_add(fx, "a.example");
	submit_patient(fx, &p);
	ch_store_close(fx->store);
	fx->store = NULL;
	assert_int_equal(p.done, 2);
	assert_int_equal(p.ops[0].u.lease.n_orders, 1);
	assert_int_equal(p.ops[1].u.lease.n_orders, 0);
}

static void an_answer_that_does_not_fit_undoes_the_operation(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};
	CH_AUTO_ARENA struct ch_arena *tiny = NULL;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	assert_ok(ch_arena_new(sizeof(struct ch_store_order) + 64, &tiny));
	op.arena = tiny;
	op.u.lease = (struct ch_op_lease){.issuer = "i", .max = 1, .lease_ms = LEASE_MS};
	assert_int_equal(ch_store_run(fx->store, &op), CH_ENOMEM);
	assert_string_equal(op.err.problem, "internal");
	assert_int_equal(fx_get(fx, "a.example").order_id, 0);
	order = fx_lease_one(fx);
	assert_int_equal(order->fence, 1);
}

struct heard {
	int n;
	struct ch_store_change last;
};

static void hear(const struct ch_store_change *change, void *arg)
{
	struct heard *heard = arg;

	heard->n++;
	heard->last = *change;
}

static void commits_are_announced_with_what_changed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct heard heard = {0};
	struct ch_op_patch patch;

	ch_store_on_commit(fx->store, hear, &heard);
	fx_lease_none(fx);
	assert_int_not_equal(fx_name_op(fx, CH_OP_DELETE, "none.example"), CH_OK);
	assert_int_equal(heard.n, 0);
	fx_add(fx, "a.example");
	assert_int_equal(heard.n, 1);
	assert_true(heard.last.feed);
	assert_int_equal(heard.last.feed_head, fx_feed_info(fx).head);
	assert_int_equal(heard.last.due_ms, START_MS);
	order = fx_lease_one(fx);
	assert_false(heard.last.feed);
	assert_int_equal(heard.last.due_ms, START_MS + LEASE_MS);
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.next_at_ms = START_MS + 7000;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(heard.last.due_ms, START_MS + 7000);
	assert_false(heard.last.acks);
	assert_ok(fx_ack(fx, "default", "e1", 1));
	assert_true(heard.last.acks);
	assert_int_equal(heard.last.due_ms, INT64_MAX);
	ch_store_on_commit(fx->store, NULL, NULL);
}

/* The child: four threads add names and tell the parent of each that was acknowledged. */
struct crasher {
	struct ch_store *store;
	int fd;
	int round;
	int number;
};

static void *crash_work(void *arg)
{
	struct crasher *crasher = arg;

	for (uint32_t i = 0;; i++) {
		uint32_t told[2] = {(uint32_t)crasher->number, i};
		char name[64];

		snprintf(name, sizeof(name), "r%d-%d-%u.example", crasher->round,
			crasher->number, i);
		if (put_one(crasher->store, name))
			_exit(1);
		if (i && i % 4 == 0) {
			snprintf(name, sizeof(name), "r%d-%d-%u.example", crasher->round,
				crasher->number, i - 1);
			if (delete_one(crasher->store, name))
				_exit(2);
		}
		if (write(crasher->fd, told, sizeof(told)) != sizeof(told))
			_exit(3);
	}
	return NULL;
}

static void crash_child(const char *database, int fd, int round)
{
	struct ch_store_options options = {.database = database};
	struct crasher crashers[4];
	pthread_t threads[4];
	struct ch_store *store;

	if (ch_store_open(&options, &store, NULL))
		_exit(4);
	for (int i = 0; i < 4; i++) {
		crashers[i] =
			(struct crasher){.store = store, .fd = fd, .round = round, .number = i};
		if (pthread_create(&threads[i], NULL, crash_work, &crashers[i]))
			_exit(5);
	}
	pthread_join(threads[0], NULL);
	_exit(6);
}

/* Name i is there unless it was removed after name i + 1 was added. */
static void check_acknowledged(struct fixture *fx, int round, const int64_t *told)
{
	for (int number = 0; number < 4; number++)
		for (int64_t i = 0; i <= told[number]; i++) {
			struct ch_store_domain domain;
			char name[64];
			int rc;

			snprintf(
				name, sizeof(name), "r%d-%d-%d.example", round, number, (int)i);
			rc = ch_store_get_domain(fx->store, name, fx->arena, &domain);
			if (i % 4 == 3 && i < told[number])
				assert_int_equal(rc, CH_ENOTFOUND);
			else if (i % 4 != 3)
				assert_ok(rc);
		}
}

static void a_killed_process_loses_nothing_that_was_acknowledged(void **state)
{
	struct fixture *fx = *state;

	ch_store_close(fx->store);
	fx->store = NULL;
	for (int round = 0; round < 6; round++) {
		int64_t told[4] = {-1, -1, -1, -1};
		uint32_t message[2];
		int fds[2], status;
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(fds[0]);
			crash_child(fx->database, fds[1], round);
		}
		close(fds[1]);
		for (int i = 0; i < 40 + 23 * round; i++) {
			assert_int_equal(read(fds[0], message, sizeof(message)), 8);
			told[message[0]] = message[1];
		}
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		while (read(fds[0], message, sizeof(message)) == sizeof(message))
			told[message[0]] = message[1];
		close(fds[0]);
		fx_reopen(fx);
		check_acknowledged(fx, round, told);
		check_consistent(fx);
		ch_store_close(fx->store);
		fx->store = NULL;
	}
}

static void a_crash_between_two_steps_resumes_at_the_lease(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order, *again;
	int status;
	pid_t child;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	ch_store_close(fx->store);
	fx->store = NULL;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		fx_reopen(fx);
		fx_seal(fx, order);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fx_reopen(fx);
	fx_lease_none(fx);
	test_now_ms += LEASE_MS;
	again = fx_lease_one(fx);
	assert_int_equal(again->id, order->id);
	assert_int_equal(again->state, CH_ORDER_SEALED);
	assert_int_equal(again->sealed_len, 6);
	fx_seal(fx, again);
	assert_ok(fx_publish(fx, fx_publication(fx, again, 1)));
	fx_finish(fx, again);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(eight_writers_and_a_reader_agree),
		T(a_full_queue_says_so_at_once),
		T(one_bad_operation_does_not_harm_its_neighbours),
		T(what_can_wait_is_written_before_what_comes_after_it),
		T(what_can_wait_does_not_outlast_the_store),
		T(an_answer_that_does_not_fit_undoes_the_operation),
		T(commits_are_announced_with_what_changed),
		T(a_killed_process_loses_nothing_that_was_acknowledged),
		T(a_crash_between_two_steps_resumes_at_the_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
