/* A backup becomes a database again, at another time and beside edges that know more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/backup.h"
#include "store/counters.h"
#include "store/migrations.h"
#include "store/postgres_fill.h"
#include "store/sqlite_lock.h"
#include "store/sqlite_migrate.h"

/* ---- into a file ---- */

static int copy_all(struct ch_db *backup, const char *file, struct ch_db *to,
	struct ch_arena *arena, uint64_t all, const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_FREE struct ch_tables *tables = malloc(sizeof(*tables));
	struct ch_sink sink = {.db = to, .arena = arena};
	uint64_t done = 0;
	int rc;

	if (!tables)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	rc = ch_backup_tables(backup, file, arena, tables, err);
	if (rc)
		return rc;
	rc = ch_side_err(ch_sink_begin(&sink, tables), NULL, to, "the database", err);
	for (size_t i = 0; !rc && i < tables->n; i++) {
		struct ch_copied copied;

		rc = ch_copy_table(backup, &sink, &tables->list[i], how, done, all, &copied);
		if (rc)
			return ch_side_err(rc, backup, to, "the backup cannot be copied", err);
		rc = ch_backup_same(backup, file, &tables->list[i], &copied, err);
		done += copied.rows;
	}
	return rc ? rc : ch_side_err(ch_sink_finish(&sink), NULL, to, "indexes", err);
}

/* What is different from the moment of the backup; transfer.h says what. */
static int adapt(struct ch_db *db, int64_t made_at_ms)
{
	int64_t now = ch_now_ms();
	int64_t begin = now + CH_RESTORE_GRACE_MS;
	int64_t ids = now / CH_SECOND_MS * CH_RESTORE_IDS_PER_S;
	char when[CH_TIME_STR_B];
	int rc = ch_db_run(db,
		"UPDATE meta SET epoch = randomblob(16), last_id = iif(last_id < ?1, ?1, "
		"last_id + ?2) WHERE one = 1",
		"ii", ids, CH_RESTORE_IDS);

	/* A fence that some issuer still holds must not be handed out again. */
	if (!rc)
		rc = ch_db_run(db,
			"UPDATE orders SET fence = max(fence + 1000000, ?2), lease_issuer = "
			"NULL, "
			"lease_until = NULL, next_at = max(coalesce(next_at, 0), ?1) "
			"WHERE ended_at IS NULL",
			"ii", begin, now / CH_SECOND_MS);
	if (!rc)
		rc = ch_db_run(
			db, "UPDATE name SET next_at = ?1 WHERE next_at < ?1", "i", begin);
	if (!rc)
		rc = ch_db_run(
			db, "UPDATE name SET second_at = ?1 WHERE second_at < ?1", "i", begin);
	if (!rc)
		rc = ch_db_run(db, "UPDATE name SET standby_at = ?1 WHERE standby_at < ?1", "i",
			begin);
	if (!rc)
		rc = ch_db_run(db,
			"UPDATE name SET second_standby_at = ?1 WHERE second_standby_at < ?1",
			"i", begin);
	/* They say it again with their first leases, and as it is by then. */
	if (!rc)
		rc = ch_db_run(db, "DELETE FROM issuer", "");
	if (!rc)
		rc = ch_db_run(db,
			"UPDATE bucket SET tat = max(tat, ? * 1000 + size * refill) "
			"WHERE key >= 'account:' AND key < 'account;'",
			"i", now);
	if (!rc)
		rc = ch_db_run(db,
			"INSERT INTO counter (key, n) VALUES ('" CH_COUNTER_HANDBACK_UNTIL
			"', ?), ('" CH_COUNTER_ORDERING_FROM "', ?) "
			"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
			"ii", now + CH_RESTORE_WINDOW_MS, begin);
	if (!rc)
		rc = ch_db_run(db,
			"INSERT INTO audit (id, at, who, action, target) "
			"SELECT iif(coalesce(max(id), 0) < ?1, ?1, max(id) + ?4), ?2, "
			"'operator/restore', 'store.restore', ?3 FROM audit",
			"iiti", ids, now, ch_time_str(made_at_ms, when), CH_RESTORE_IDS);
	return rc;
}

static int fill_file(struct ch_db *backup, const char *file, struct ch_partial *partial,
	const struct ch_backup_info *info, const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	CH_AUTO_DB struct ch_db *to = NULL;
	int rc = ch_arena_new(0, &arena);

	if (rc)
		return ch_err_set(err, rc, "internal", "out of memory");
	rc = ch_partial_begin(partial, (int64_t)info->schema, &to, err);
	if (!rc)
		rc = ch_side_err(ch_db_script(to, "BEGIN"), NULL, to, partial->path, err);
	if (!rc)
		rc = copy_all(backup, file, to, arena, info->rows, how, err);
	if (!rc)
		rc = ch_side_err(ch_db_script(to, "COMMIT"), NULL, to, partial->path, err);
	if (!rc)
		rc = ch_sqlite_migrate(to, partial->path, err);
	if (!rc)
		rc = ch_side_err(adapt(to, info->made_at_ms), NULL, to, partial->path, err);
	return rc;
}

/* SQLite would take another database's log for this one's. */
static int check_beside(const char *path, struct ch_err *err)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};

	for (size_t i = 0; i < CH_ARRAY_LEN(ends); i++) {
		char beside[CH_BACKUP_PATH_B + 16];
		struct stat st;

		snprintf(beside, sizeof(beside), "%s%s", path, ends[i]);
		if (lstat(beside, &st) == 0)
			return ch_err_set(err, CH_ECONFLICT, "database-not-empty",
				"%.300s is left of another database: move it to where that "
				"is",
				beside);
	}
	return CH_OK;
}

/* A store that runs on still has the old database, wherever that was moved to.  Without the
 * lock's file nobody does; made by root, it would keep the store out. */
static int lock_path(const char *path, int *ret_fd, struct ch_err *err)
{
	char lock[CH_BACKUP_PATH_B + 16];

	snprintf(lock, sizeof(lock), "%s.lock", path);
	return access(lock, F_OK) < 0 ? CH_OK : ch_sqlite_lock(path, ret_fd, err);
}

static int restore_sqlite(struct ch_db *backup, const char *file, const char *path,
	const struct ch_backup_info *info, const struct ch_transfer *how, struct ch_err *err)
{
	CH_AUTO_CLOSE int lock_fd = -1;
	CH_AUTO_PARTIAL struct ch_partial partial = {.fd = -1};
	int rc;

	if (ch_partial_absent(path, err))
		return ch_err_set(err, CH_ECONFLICT, "database-not-empty",
			"%.300s exists: stop the store and move it away, with its -wal and "
			"-shm",
			path);
	rc = check_beside(path, err);
	if (!rc)
		rc = lock_path(path, &lock_fd, err);
	if (!rc)
		rc = ch_partial_init(&partial, path, ".partial", err);
	if (!rc)
		rc = fill_file(backup, file, &partial, info, how, err);
	if (!rc)
		rc = ch_partial_own(&partial, err);
	return rc ? rc : ch_partial_finish(&partial, path, err);
}

/* A file in a folder of its own, where nobody else can put one. */
struct scratch {
	char folder[CH_BACKUP_PATH_B - 32]; /* "": not made, or gone */
	struct ch_partial partial;
};

static void scratch_done(struct scratch *scratch)
{
	ch_partial_done(&scratch->partial);
	if (scratch->folder[0])
		(void)rmdir(scratch->folder);
	scratch->folder[0] = 0;
}

/* Not beside the backup: that may lie where nothing can be written. */
static int scratch_make(struct scratch *scratch, struct ch_err *err)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(scratch->folder, sizeof(scratch->folder), "%s/certherd-restore-XXXXXX",
		tmp && *tmp ? tmp : "/var/tmp");

	if (n < 0 || (size_t)n >= sizeof(scratch->folder) || !mkdtemp(scratch->folder)) {
		scratch->folder[0] = 0;
		return ch_err_set(err, errno == ENOSPC ? CH_EFULL : CH_EIO, "file",
			"cannot make a folder in %.300s: %s; TMPDIR says where",
			tmp && *tmp ? tmp : "/var/tmp", strerror(errno));
	}
	return ch_partial_init(&scratch->partial, scratch->folder, "/backup.db", err);
}

/* By way of a file, which has been brought to this schema. */
static int restore_postgres(struct ch_db *backup, const char *file, const char *url,
	const struct ch_backup_info *info, const struct ch_transfer *how, struct ch_err *err)
{
	CH_CLEANUP(scratch_done) struct scratch scratch = {.partial = {.fd = -1}};
	CH_CLEANUP(ch_side_done) struct ch_side to = {.db = NULL};
	CH_CLEANUP(ch_side_done) struct ch_side from = {.db = NULL};
	char source[CH_BACKUP_PATH_B + 8];
	uint64_t rows;
	int rc = ch_side_open(&to, url, err);

	if (!rc)
		rc = ch_postgres_empty(&to, err);
	if (!rc)
		rc = scratch_make(&scratch, err);
	if (!rc)
		rc = fill_file(backup, file, &scratch.partial, info, how, err);
	snprintf(source, sizeof(source), "sqlite:%s", scratch.partial.path);
	if (!rc)
		rc = ch_side_open(&from, source, err);
	/* It is read without its name.  The folder stays: in one of the same name somebody else
	 * could put a log beside it, which SQLite would take for the file's own. */
	ch_partial_done(&scratch.partial);
	if (!rc)
		rc = ch_postgres_fill(&to, &from, how, &rows, err);
	if (!rc)
		rc = ch_postgres_commit(&to, err);
	if (!rc)
		ch_postgres_analyze(&to);
	return rc;
}

int ch_backup_restore(const char *file, const char *database, const struct ch_transfer *how,
	struct ch_backup_info *ret_info, struct ch_err *err)
{
	CH_AUTO_DB struct ch_db *backup = NULL;
	struct ch_backup_info info;
	int rc = ch_backup_info_read(file, &info, err);

	if (!rc)
		rc = ch_backup_open(file, &backup, err);
	if (rc)
		return rc;
	if (strncmp(database, "sqlite:", 7) == 0)
		rc = restore_sqlite(backup, file, database + 7, &info, how, err);
	else
		rc = restore_postgres(backup, file, database, &info, how, err);
	if (!rc)
		*ret_info = info;
	return rc;
}
