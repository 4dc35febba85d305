/* One end of a transfer, and the files that are made for it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/backup.h"
#include "store/db_postgres.h"
#include "store/db_postgres_wait.h"
#include "store/db_sqlite.h"
#include "store/migrations.h"
#include "store/sqlite_migrate.h"

/* A table of a million names takes longer than any statement of a store may. */
#define POSTGRES_SETUP                                                                         \
	"SET client_min_messages = warning; SET jit = off; SET statement_timeout = 0;"         \
	"SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0;"               \
	"SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;"                        \
	"SET tcp_keepalives_count = 3;"

int ch_side_err(
	int rc, struct ch_db *from, struct ch_db *to, const char *doing, struct ch_err *err)
{
	const char *words = ch_rc_str(rc);

	if (!rc)
		return CH_OK;
	if (rc == CH_ECANCELED)
		return ch_err_set(err, rc, "canceled", "stopped: nothing was changed");
	if (to && ch_db_rc(to))
		words = ch_db_text_of_error(to);
	else if (from && ch_db_rc(from))
		words = ch_db_text_of_error(from);
	return ch_err_set(err, rc, rc == CH_EFULL ? "disk-full" : "database", "%.200s: %.300s",
		doing, words);
}

int ch_transfer_schema(int64_t schema, const char *what, struct ch_err *err)
{
	if (schema >= 1 && schema <= (int64_t)ch_migrations_sqlite_n)
		return CH_OK;
	return ch_err_set(err, CH_EUNSUPPORTED, "schema-newer",
		"%.300s has schema %jd, this program knows 1 to %u: use the version of "
		"certherd that made it, or a newer one",
		what, (intmax_t)schema, ch_migrations_sqlite_n);
}

static int open_sqlite(struct ch_side *side, const char *path, struct ch_err *err)
{
	int rc;

	if (access(path, R_OK) < 0)
		return ch_err_set(err, errno == ENOENT ? CH_ENOTFOUND : CH_EIO, "no-database",
			"cannot read the database %.300s: %s", path, strerror(errno));
	rc = ch_db_sqlite_open(path, SQLITE_OPEN_READONLY, &side->db, err);
	if (rc)
		return rc;
	return ch_sqlite_schema(side->db, path, &side->schema, err);
}

static int open_postgres(struct ch_side *side, const char *url, struct ch_err *err)
{
	int64_t one;
	int64_t version;
	int rc = ch_db_postgres_open(url, POSTGRES_SETUP, &side->db, err);

	side->is_postgres = true;
	ch_db_postgres_answer_ms = CH_HOUR_MS;
	if (rc)
		return rc;
	rc = ch_db_get_i64(side->db, &one,
		"SELECT 1 FROM pg_class WHERE relname = 'certherd_schema' AND relnamespace = "
		"CAST(current_schema() AS regnamespace) LIMIT 1",
		"");
	if (rc == CH_ENOTFOUND)
		return CH_OK;
	if (!rc)
		rc = ch_db_get_i64(
			side->db, &version, "SELECT version FROM certherd_schema LIMIT 1", "");
	if (rc)
		return ch_side_err(rc, NULL, side->db, "the PostgreSQL database", err);
	side->schema = version + CH_SCHEMA_APART;
	return CH_OK;
}

int ch_side_open(struct ch_side *side, const char *database, struct ch_err *err)
{
	if (ch_arena_new(0, &side->arena))
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	if (strncmp(database, "postgresql://", 13) == 0)
		return open_postgres(side, database, err);
	if (strncmp(database, "sqlite:", 7) == 0)
		return open_sqlite(side, database + 7, err);
	return ch_err_set(err, CH_EUNSUPPORTED, "bad-database",
		"the database is neither of the form sqlite:PATH nor postgresql://…");
}

int ch_side_begin_read(struct ch_side *side, struct ch_err *err)
{
	int rc;

	if (!side->schema)
		return ch_err_set(err, CH_ENOTFOUND, "no-database",
			"the PostgreSQL database has no tables of certherd");
	rc = ch_transfer_schema(side->schema, "the database", err);
	if (rc)
		return rc;
	rc = ch_db_script(side->db, side->is_postgres
					    ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
					    : "BEGIN");
	return ch_side_err(rc, NULL, side->db, "the database", err);
}

void ch_side_done(struct ch_side *side)
{
	ch_db_close(side->db);
	side->db = NULL;
	ch_arena_free(side->arena);
	side->arena = NULL;
}

/* ---- files ---- */

static void drop_beside(const char *path)
{
	static const char *const ends[] = {"-journal", "-wal", "-shm"};

	for (size_t i = 0; i < CH_ARRAY_LEN(ends); i++) {
		char beside[CH_BACKUP_PATH_B + 16];

		snprintf(beside, sizeof(beside), "%s%s", path, ends[i]);
		(void)unlink(beside);
	}
}

/* Who has the file open has it to himself, and what a killed run left is begun anew. */
static int take_file(struct ch_partial *partial, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = open(
		partial->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat mine;
	struct stat there;

	if (fd < 0 || fstat(fd, &mine) < 0)
		return ch_err_set(err, errno == ENOSPC ? CH_EFULL : CH_EIO, "file",
			"cannot make %.300s: %s", partial->path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || lstat(partial->path, &there) < 0 ||
		there.st_ino != mine.st_ino || there.st_dev != mine.st_dev ||
		!S_ISREG(mine.st_mode))
		return ch_err_set(err, CH_ECONFLICT, "file-in-use",
			"%.300s is being written by another run: wait for its end",
			partial->path);
	if (ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0)
		return ch_err_set(err, CH_EIO, "file", "cannot write %.300s: %s", partial->path,
			strerror(errno));
	partial->fd = fd;
	fd = -1;
	return CH_OK;
}

int ch_partial_begin(
	struct ch_partial *partial, int64_t schema, struct ch_db **ret_db, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *db = NULL;
	int rc = take_file(partial, err);

	if (rc)
		return rc;
	drop_beside(partial->path);
	rc = ch_db_sqlite_open(
		partial->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, &db, err);
	if (rc)
		return rc;
	rc = ch_db_script(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
			      "PRAGMA cache_size = -64000; PRAGMA locking_mode = EXCLUSIVE");
	if (rc)
		return ch_side_err(rc, NULL, db, partial->path, err);
	rc = ch_sqlite_migrate_to(db, partial->path, schema, err);
	if (!rc)
		*ret_db = TAKE_PTR(db);
	return rc;
}

int ch_partial_init(
	struct ch_partial *partial, const char *file, const char *end, struct ch_err *err)
{
	partial->fd = -1;
	if ((size_t)snprintf(partial->path, sizeof(partial->path), "%s%s", file, end) >=
		sizeof(partial->path))
		return ch_err_set(err, CH_EINVAL, "file", "the path is too long");
	return CH_OK;
}

int ch_partial_absent(const char *file, struct ch_err *err)
{
	struct stat st;

	if (lstat(file, &st) < 0)
		return CH_OK;
	return ch_err_set(err, CH_EEXIST, "file-exists",
		"%.300s exists: nothing is ever overwritten; give another name, or move it "
		"away",
		file);
}

static int sync_path(const char *path, int flags)
{
	CH_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 || fsync(fd) < 0 ? -1 : 0;
}

int ch_partial_own(const struct ch_partial *partial, struct ch_err *err)
{
	char folder[CH_BACKUP_PATH_B];
	struct stat st;

	if (geteuid() != 0)
		return CH_OK;
	snprintf(folder, sizeof(folder), "%s", partial->path);
	if (stat(dirname(folder), &st) < 0 || fchown(partial->fd, st.st_uid, st.st_gid) < 0)
		return ch_err_set(err, CH_EIO, "file", "cannot give %.300s its owner: %s",
			partial->path, strerror(errno));
	return CH_OK;
}

int ch_partial_finish(struct ch_partial *partial, const char *file, struct ch_err *err)
{
	char folder[CH_BACKUP_PATH_B];

	snprintf(folder, sizeof(folder), "%s", file);
	/* link and not rename: it must not take the place of what came meanwhile. */
	if (fsync(partial->fd) < 0 || link(partial->path, file) < 0 ||
		unlink(partial->path) < 0 || sync_path(dirname(folder), O_DIRECTORY) < 0)
		return ch_err_set(err, errno == ENOSPC ? CH_EFULL : CH_EIO, "file",
			"cannot finish %.300s: %s", file, strerror(errno));
	close(partial->fd);
	partial->fd = -1;
	return CH_OK;
}

void ch_partial_done(struct ch_partial *partial)
{
	if (partial->fd < 0)
		return;
	(void)unlink(partial->path);
	drop_beside(partial->path);
	close(partial->fd);
	partial->fd = -1;
}
