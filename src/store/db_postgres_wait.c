#include "store/db_postgres_wait.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"

#define ANSWER_MS (70 * CH_SECOND_MS) /* statement_timeout and some time for the way */

int64_t ch_db_postgres_answer_ms = ANSWER_MS;

static bool wait_for_input(PGconn *conn, int64_t until_ms)
{
	struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
	int64_t left_ms = until_ms - ch_mono_ms();
	int n = poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);

	return n > 0 || (n < 0 && errno == EINTR);
}

int ch_db_postgres_await(PGconn *conn)
{
	int64_t until_ms = ch_mono_ms() + ch_db_postgres_answer_ms;

	while (PQisBusy(conn)) {
		if (!wait_for_input(conn, until_ms)) {
			/* An answer that comes late is not that to the next question. */
			shutdown(PQsocket(conn), SHUT_RDWR);
			for (int i = 0; i < 3 && PQconsumeInput(conn); i++)
				; /* until libpq knows */
			return CH_ETIMEOUT;
		}
		if (!PQconsumeInput(conn))
			return CH_EAGAIN;
	}
	return PQstatus(conn) == CONNECTION_OK ? CH_OK : CH_EAGAIN;
}
