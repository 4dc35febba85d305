#include "issuerd/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct crew {
	void (*work)(void *arg, size_t i, unsigned who);
	void *arg;
	size_t n;
	atomic_size_t next;
};

struct hand {
	struct crew *crew;
	unsigned who;
	pthread_t thread;
};

static void *run(void *arg)
{
	struct hand *hand = arg;
	struct crew *crew = hand->crew;
	size_t i;

	while ((i = atomic_fetch_add(&crew->next, 1)) < crew->n)
		crew->work(crew->arg, i, hand->who);
	return NULL;
}

void ch_crew_run(
	unsigned threads, size_t n, void (*work)(void *arg, size_t i, unsigned who), void *arg)
{
	struct crew crew = {.work = work, .arg = arg, .n = n};
	struct hand hands[CH_CREW_MAX];
	unsigned started = 0;

	if (threads > CH_CREW_MAX)
		threads = CH_CREW_MAX;
	if (threads > n)
		threads = (unsigned)n;
	/* The caller is the first of them. */
	for (unsigned who = 1; who < threads; who++) {
		struct hand *hand = &hands[started];

		*hand = (struct hand){.crew = &crew, .who = who};
		if (pthread_create(&hand->thread, NULL, run, hand))
			break;
		started++;
	}
	run(&(struct hand){.crew = &crew});
	for (unsigned i = 0; i < started; i++)
		pthread_join(hands[i].thread, NULL);
}

unsigned ch_crew_default(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > CH_CREW_MAX ? CH_CREW_MAX : (unsigned)n;
}
