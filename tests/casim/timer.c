#include "timer.h"

#include <time.h>

#include "sim.h"

struct sleeper {
	struct MHD_Connection *conn;
	int64_t due_mono_ms;
	struct sleeper *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct sleeper *sleepers; /* the earliest first */

static void wait_for_first(void)
{
	struct timespec at = {.tv_sec = sleepers->due_mono_ms / 1000,
		.tv_nsec = sleepers->due_mono_ms % 1000 * 1000000};

	pthread_cond_timedwait(&changed, &lock, &at);
}

static void *timer_main(void *arg)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		struct sleeper *first = sleepers;

		if (!first) {
			pthread_cond_wait(&changed, &lock);
		} else if (first->due_mono_ms > ch_mono_ms()) {
			wait_for_first();
		} else {
			sleepers = first->next;
			MHD_resume_connection(first->conn);
			free(first);
		}
	}
	return arg;
}

void sim_timer_init(void)
{
	pthread_condattr_t attr;
	pthread_t thread;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	SIM_NEED(pthread_cond_init(&changed, &attr) == 0 &&
		 pthread_create(&thread, NULL, timer_main, NULL) == 0);
	pthread_detach(thread);
}

void sim_timer_suspend(struct MHD_Connection *conn, int64_t ms)
{
	struct sleeper *sleeper = calloc(1, sizeof(*sleeper));
	struct sleeper **at = &sleepers;

	SIM_NEED(sleeper);
	sleeper->conn = conn;
	sleeper->due_mono_ms = ch_mono_ms() + ms;
	MHD_suspend_connection(conn);
	pthread_mutex_lock(&lock);
	while (*at && (*at)->due_mono_ms <= sleeper->due_mono_ms)
		at = &(*at)->next;
	sleeper->next = *at;
	*at = sleeper;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}
