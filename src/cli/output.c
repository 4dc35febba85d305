#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"

/* Of the first write that failed: errno does not last until the end, since the stream's buffer
 * is written whenever it is full. */
static int first_errno;

static ssize_t write_all(void *cookie, const char *data, size_t len)
{
	size_t done = 0;

	(void)cookie;
	while (done < len) {
		ssize_t n = write(STDOUT_FILENO, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			first_errno = first_errno ? first_errno : errno;
			break;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

void ch_output_begin(void)
{
	const cookie_io_functions_t io = {.write = write_all};
	FILE *out = fopencookie(NULL, "w", io);

	if (!out)
		return;
	if (isatty(STDOUT_FILENO))
		(void)setvbuf(out, NULL, _IOLBF, BUFSIZ);
	stdout = out;
}

int ch_output_end(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	/* Whoever has closed a pipe has read enough. */
	if (first_errno != EPIPE)
		fprintf(stderr, "certherd: cannot write the output%s%s\n",
			first_errno ? ": " : "", first_errno ? strerror(first_errno) : "");
	return code ? code : CH_EXIT_FAILED;
}
