#include "agentd/signatures.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/feed.h"
#include "wire/record.h"

/* So many records are worth a thread: about a millisecond of work. */
#define WORTH_A_THREAD 16

struct share {
	const struct ch_verify_set *pinned;
	struct ch_reader frames;
	bool *good;
	size_t first; /* its frames: this one and each step-th after it */
	size_t step;
	pthread_t thread;
	bool started;
};

static bool is_good(const struct ch_verify_set *pinned, const struct ch_feed_frame *frame)
{
	struct ch_record record;

	return frame->type == CH_FEED_RECORD &&
	       ch_record_decode(frame->payload, frame->payload_len, &record) == CH_OK &&
	       ch_record_is_signed(&record) &&
	       ch_record_verify(&record, frame->payload, pinned) == CH_OK;
}

static void *check_share(void *arg)
{
	struct share *share = arg;
	struct ch_feed_frame frame;

	for (size_t i = 0; ch_feed_read_frame(&share->frames, &frame) == CH_OK; i++)
		if (i % share->step == share->first)
			share->good[i] = is_good(share->pinned, &frame);
	return NULL;
}

static size_t count_frames(struct ch_reader frames)
{
	struct ch_feed_frame frame;
	size_t n = 0;

	while (ch_feed_read_frame(&frames, &frame) == CH_OK)
		n++;
	return n;
}

static size_t count_shares(size_t frames, unsigned threads)
{
	long processors = threads ? (long)threads : sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = processors > 0 ? (size_t)processors : 1;

	if (n > CH_SIGNATURE_THREADS_MAX)
		n = CH_SIGNATURE_THREADS_MAX;
	if (n > 1 + frames / WORTH_A_THREAD)
		n = 1 + frames / WORTH_A_THREAD;
	return n;
}

int ch_signatures_check(const struct ch_verify_set *pinned, struct ch_reader frames,
	unsigned threads, struct ch_signatures *ret_signatures)
{
	struct share shares[CH_SIGNATURE_THREADS_MAX];
	size_t n = count_frames(frames);
	size_t n_shares = count_shares(n, threads);
	bool *good = calloc(n ? n : 1, sizeof(*good));

	if (!good)
		return CH_ENOMEM;
	for (size_t i = 0; i < n_shares; i++) {
		shares[i] = (struct share){.pinned = pinned,
			.frames = frames,
			.good = good,
			.first = i,
			.step = n_shares};
		/* The last is ours, as is whatever no thread can be had for. */
		shares[i].started = i + 1 < n_shares && pthread_create(&shares[i].thread, NULL,
								check_share, &shares[i]) == 0;
	}
	for (size_t i = n_shares; i-- > 0;)
		if (!shares[i].started)
			(void)check_share(&shares[i]);
	for (size_t i = 0; i < n_shares; i++)
		if (shares[i].started)
			(void)pthread_join(shares[i].thread, NULL);
	*ret_signatures = (struct ch_signatures){.good = good, .n = n};
	return CH_OK;
}

bool ch_signatures_are_good(const struct ch_signatures *signatures, size_t frame)
{
	return frame < signatures->n && signatures->good[frame];
}

void ch_signatures_done(struct ch_signatures *signatures)
{
	free(signatures->good);
	*signatures = (struct ch_signatures){.good = NULL};
}
