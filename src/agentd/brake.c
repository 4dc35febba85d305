#include "agentd/brake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"

#define REFUSED "removal-refused"
#define CONFIRMED "removal-confirmed"
#define FILE_MAX_B 4096u

static char *path_of(const char *dir, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : path;
}

static void remove_file(const char *dir, const char *file)
{
	CH_AUTO_FREE char *path = path_of(dir, file);

	if (path)
		(void)unlink(path);
}

static void sweep_file(const char *dir, const char *file)
{
	CH_AUTO_FREE char *path = path_of(dir, file);

	if (path)
		ch_file_sweep(path);
}

void ch_brake_init(
	struct ch_brake *brake, const struct ch_brake_limits *limits, const char *dir)
{
	*brake = (struct ch_brake){.limits = *limits, .dir = dir};
	sweep_file(dir, REFUSED);
	sweep_file(dir, CONFIRMED);
	ch_brake_release(brake);
}

static void forget_old(struct ch_brake *brake, int64_t now_ms)
{
	unsigned old = 0;

	while (old < brake->n_spans &&
		now_ms - brake->spans[old].at_ms > brake->limits.window_ms)
		old++;
	brake->n_spans -= old;
	memmove(brake->spans, brake->spans + old, brake->n_spans * sizeof(brake->spans[0]));
}

bool ch_brake_allows(struct ch_brake *brake, int64_t now_ms, uint64_t removing, uint64_t live)
{
	uint64_t lately = 0;

	if (removing == 0)
		return true;
	forget_old(brake, now_ms);
	for (unsigned i = 0; i < brake->n_spans; i++)
		lately += brake->spans[i].removed;
	return lately + removing <= brake->limits.count ||
	       (lately + removing) * 100 <= (live + lately) * brake->limits.percent;
}

void ch_brake_note(struct ch_brake *brake, int64_t now_ms, uint64_t removed)
{
	if (removed == 0)
		return;
	forget_old(brake, now_ms);
	/* Spans of a 32nd of the window: so there are never more than fit. */
	if (brake->n_spans == 0 || now_ms - brake->spans[brake->n_spans - 1].at_ms >
					   brake->limits.window_ms / 32) {
		if (brake->n_spans < CH_BRAKE_SPANS)
			brake->n_spans++;
		brake->spans[brake->n_spans - 1].at_ms = now_ms;
		brake->spans[brake->n_spans - 1].removed = 0;
	}
	brake->spans[brake->n_spans - 1].removed += removed;
}

bool ch_brake_is_on(const struct ch_brake *brake)
{
	return brake->id[0] != 0;
}

static int write_refused(const struct ch_brake *brake, struct ch_err *err)
{
	CH_AUTO_FREE char *path = path_of(brake->dir, REFUSED);
	char text[512];
	char now[CH_TIME_STR_B];
	int len = snprintf(text, sizeof(text),
		"%s\nRefused at %s: removing %" PRIu64 " of %" PRIu64 " live names.\n",
		brake->id, ch_time_str(ch_now_ms(), now), brake->removing, brake->live);

	if (!path)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	return ch_file_write_atomic(path, text, (size_t)len, 0644, err);
}

int ch_brake_put_on(
	struct ch_brake *brake, uint64_t removing, uint64_t live, struct ch_err *err)
{
	uint8_t random[(CH_BRAKE_ID_B - 1) / 2];

	if (ch_brake_is_on(brake) && !brake->accepted && removing == brake->removing &&
		live == brake->live)
		return CH_OK;
	/* Another number is another question: the old answer does not fit it. */
	remove_file(brake->dir, CONFIRMED);
	brake->accepted = false;
	brake->told = false;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		memset(random, 0xff, sizeof(random));
	ch_hex_encode(random, sizeof(random), brake->id);
	brake->removing = removing;
	brake->live = live;
	return write_refused(brake, err);
}

void ch_brake_release(struct ch_brake *brake)
{
	brake->id[0] = 0;
	brake->removing = 0;
	brake->live = 0;
	brake->accepted = false;
	remove_file(brake->dir, CONFIRMED);
	remove_file(brake->dir, REFUSED);
}

void ch_brake_accept(struct ch_brake *brake)
{
	brake->accepted = true;
	remove_file(brake->dir, CONFIRMED);
}

bool ch_brake_is_confirmed(const struct ch_brake *brake)
{
	CH_AUTO_FREE char *path = path_of(brake->dir, CONFIRMED);
	CH_AUTO_FREE char *text = NULL;
	size_t len;

	if (!ch_brake_is_on(brake) || !path ||
		ch_file_read(path, FILE_MAX_B, &text, &len, NULL) != CH_OK)
		return false;
	return len == CH_BRAKE_ID_B - 1 && memcmp(text, brake->id, len) == 0;
}

/* The refusal that holds now: its id, and (owned by the caller) what it says. */
static int read_refused(
	const char *dir, char ret_id[CH_BRAKE_ID_B], char **ret_text, struct ch_err *err)
{
	CH_AUTO_FREE char *path = path_of(dir, REFUSED);
	CH_AUTO_FREE char *text = NULL;
	char *what;
	size_t len;
	int rc;

	if (!path)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_file_read(path, FILE_MAX_B, &text, &len, err);
	if (rc)
		return rc;
	if (len < CH_BRAKE_ID_B || text[CH_BRAKE_ID_B - 1] != '\n')
		return ch_err_set(err, CH_ECORRUPT, "brake-file", "%s is damaged", path);
	what = strdup(text + CH_BRAKE_ID_B);
	if (!what)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	/* It goes to root's terminal, and the agent's user owns the file. */
	for (char *at = what; *at; at++)
		if (*at != '\n' && ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e))
			*at = '?';
	memcpy(ret_id, text, CH_BRAKE_ID_B - 1);
	ret_id[CH_BRAKE_ID_B - 1] = 0;
	*ret_text = what;
	return CH_OK;
}

int ch_brake_confirm(
	const char *dir, char **ret_text, char ret_id[CH_BRAKE_ID_B], struct ch_err *err)
{
	CH_AUTO_FREE char *confirmed = path_of(dir, CONFIRMED);
	CH_AUTO_FREE char *what = NULL;
	char id[CH_BRAKE_ID_B];
	int rc;

	if (!confirmed)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = read_refused(dir, id, &what, err);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(err, rc, "nothing-refused",
			"no removal is refused at the replica %s: there is nothing to confirm",
			dir);
	if (rc == CH_OK)
		rc = ch_file_write_atomic(confirmed, id, CH_BRAKE_ID_B - 1, 0644, err);
	if (rc)
		return rc;
	memcpy(ret_id, id, sizeof(id));
	*ret_text = TAKE_PTR(what);
	return CH_OK;
}

int ch_brake_outcome(const char *dir, const char id[CH_BRAKE_ID_B], char **ret_text)
{
	CH_AUTO_FREE char *what = NULL;
	char now[CH_BRAKE_ID_B];
	int rc = read_refused(dir, now, &what, NULL);

	if (rc == CH_ENOTFOUND)
		return CH_OK;
	if (rc || strcmp(now, id) == 0)
		return CH_EAGAIN;
	*ret_text = TAKE_PTR(what);
	return CH_ECONFLICT;
}
