/* A host whose clock is wrong by CERTHERD_SHIFT_S seconds: what the program and its libraries
 * ask of the wall clock; the monotonic one runs on.  An executable's own definitions come
 * first. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret_now);
int gettimeofday(struct timeval *restrict ret_now, void *restrict zone);
time_t time(time_t *ret_now);

static time_t shift_s(void)
{
	const char *text = getenv("CERTHERD_SHIFT_S");

	return text ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *ret_now)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ret_now);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ret_now->tv_sec += shift_s();
	return rc;
}

int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now))
		return -1;
	ret_now->tv_sec = now.tv_sec;
	ret_now->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret_now)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now))
		return -1;
	if (ret_now)
		*ret_now = now.tv_sec;
	return now.tv_sec;
}
