#include "edge/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"

#define POINTER_MAX_B 4096
#define DEFAULT_MAP_B ((size_t)64 << 30)

int ch_lmdb_rc(int mdb_rc)
{
	switch (mdb_rc) {
	case MDB_SUCCESS:
		return CH_OK;
	case MDB_NOTFOUND:
		return CH_ENOTFOUND;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return CH_EFULL;
	case ENOMEM:
		return CH_ENOMEM;
	case MDB_READERS_FULL:
	case EAGAIN:
		return CH_EAGAIN;
	case EACCES:
	case EPERM:
	case EROFS:
		return CH_EAUTH;
	case MDB_VERSION_MISMATCH:
		return CH_EUNSUPPORTED;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_PANIC:
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
	case MDB_INCOMPATIBLE:
		return CH_ECORRUPT;
	case MDB_BAD_VALSIZE:
	case EINVAL:
		return CH_EINVAL;
	default:
		return CH_EIO;
	}
}

int ch_lmdb_fail(struct ch_err *err, int mdb_rc, const char *what, const char *generation)
{
	return ch_err_set(err, ch_lmdb_rc(mdb_rc), "replica", "cannot %s of replica %s: %s",
		what, generation, mdb_strerror(mdb_rc));
}

bool ch_generation_name_ok(const char *name, size_t len)
{
	const size_t prefix_len = sizeof(CH_GENERATION_PREFIX) - 1;

	return len == CH_GENERATION_NAME_B - 1 &&
	       memcmp(name, CH_GENERATION_PREFIX, prefix_len) == 0 &&
	       strspn(name + prefix_len, "0123456789abcdef") >= len - prefix_len;
}

int ch_generation_path(
	char ret_path[CH_REPLICA_PATH_B], const char *dir, const char *a, const char *b)
{
	int len = snprintf(
		ret_path, CH_REPLICA_PATH_B, "%s/%s%s%s", dir, a, b ? "/" : "", b ? b : "");

	return len < 0 || len >= CH_REPLICA_PATH_B ? CH_ETOOBIG : CH_OK;
}

/* f<number>- of another number is no damage: its reader is newer than we are. */
static bool is_other_format(const char *line)
{
	size_t digits = line[0] == 'f' ? strspn(line + 1, "0123456789") : 0;

	return digits > 0 && line[1 + digits] == '-' &&
	       strncmp(line, CH_GENERATION_PREFIX, sizeof(CH_GENERATION_PREFIX) - 1) != 0;
}

int ch_generation_read_pointer(const char *dir, const char *file,
	char ret_name[CH_GENERATION_NAME_B], struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	char path[CH_REPLICA_PATH_B];
	size_t len;
	size_t lines = 0;
	int rc = ch_generation_path(path, dir, file, NULL);

	if (rc)
		return ch_err_set(
			err, rc, "replica-path", "the path of the replica is too long");
	rc = ch_file_read(path, POINTER_MAX_B, &text, &len, err);
	if (rc)
		return rc;
	for (char *at = text; *at; lines++) {
		size_t line_len = strcspn(at, "\n");

		if (ch_generation_name_ok(at, line_len)) {
			memcpy(ret_name, at, line_len);
			ret_name[line_len] = 0;
			return CH_OK;
		}
		if (!is_other_format(at))
			return ch_err_set(err, CH_ECORRUPT, "replica-pointer",
				"%s does not name a generation", path);
		at += line_len;
		at += *at == '\n';
	}
	return ch_err_set(err, lines ? CH_EUNSUPPORTED : CH_ECORRUPT, "replica-pointer",
		lines ? "%s names only formats that this version cannot read"
		      : "%s does not name a generation",
		path);
}

/* LMDB's locks are the process's: a second environment on the same files would throw away the
 * reader table of the first.  So the process keeps a list of what it has open; entries that a
 * parent left behind at a fork do not count. */
#define OPEN_MAX 16
static struct {
	pid_t pid;
	dev_t dev;
	ino_t ino;
} open_list[OPEN_MAX];
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static int open_list_add(const struct stat *st)
{
	int rc = CH_ETOOBIG;
	int at = -1;

	pthread_mutex_lock(&open_lock);
	for (int i = 0; i < OPEN_MAX; i++) {
		if (open_list[i].pid != getpid()) {
			at = i;
		} else if (open_list[i].dev == st->st_dev && open_list[i].ino == st->st_ino) {
			rc = CH_EEXIST;
			at = -1;
			break;
		}
	}
	if (at >= 0) {
		open_list[at].pid = getpid();
		open_list[at].dev = st->st_dev;
		open_list[at].ino = st->st_ino;
		rc = CH_OK;
	}
	pthread_mutex_unlock(&open_lock);
	return rc;
}

static void open_list_drop(dev_t dev, ino_t ino)
{
	pthread_mutex_lock(&open_lock);
	for (int i = 0; i < OPEN_MAX; i++)
		if (open_list[i].pid == getpid() && open_list[i].dev == dev &&
			open_list[i].ino == ino)
			open_list[i].pid = 0;
	pthread_mutex_unlock(&open_lock);
}

/* What is there says "format"; a new one is given it. */
static int check_format(struct ch_generation *gen, MDB_txn *txn, bool create)
{
	uint8_t bytes[4] = {0, 0, 0, CH_GENERATION_FORMAT};
	MDB_val key = {.mv_size = 6, .mv_data = "format"};
	MDB_val val = {.mv_size = sizeof(bytes), .mv_data = bytes};
	int mdb_rc;

	if (create) {
		mdb_rc = mdb_put(txn, gen->meta, &key, &val, 0);
		return mdb_rc ? ch_lmdb_rc(mdb_rc) : CH_OK;
	}
	mdb_rc = mdb_get(txn, gen->meta, &key, &val);
	if (mdb_rc)
		return mdb_rc == MDB_NOTFOUND ? CH_ECORRUPT : ch_lmdb_rc(mdb_rc);
	if (val.mv_size != sizeof(bytes))
		return CH_ECORRUPT;
	return memcmp(val.mv_data, bytes, sizeof(bytes)) == 0 ? CH_OK : CH_EUNSUPPORTED;
}

static int open_databases(
	struct ch_generation *gen, const struct ch_generation_open *how, struct ch_err *err)
{
	unsigned flags = how->create ? MDB_CREATE : 0;
	MDB_txn *txn;
	int rc;
	int mdb_rc = mdb_txn_begin(gen->env, NULL, how->create ? 0 : MDB_RDONLY, &txn);

	if (mdb_rc)
		return ch_lmdb_fail(err, mdb_rc, "begin a transaction", gen->name);
	mdb_rc = mdb_dbi_open(txn, "names", flags, &gen->names);
	if (mdb_rc == 0)
		mdb_rc = mdb_dbi_open(txn, "extras", flags, &gen->extras);
	if (mdb_rc == 0)
		mdb_rc = mdb_dbi_open(txn, "chains", flags, &gen->chains);
	if (mdb_rc == 0)
		mdb_rc = mdb_dbi_open(txn, "meta", flags, &gen->meta);
	if (mdb_rc) {
		mdb_txn_abort(txn);
		if (mdb_rc == MDB_NOTFOUND)
			return ch_err_set(err, CH_ECORRUPT, "replica-damaged",
				"replica %s is not complete", gen->name);
		return ch_lmdb_fail(err, mdb_rc, "open the databases", gen->name);
	}
	rc = check_format(gen, txn, how->create);
	if (rc) {
		mdb_txn_abort(txn);
		return ch_err_set(err, rc, "replica-format", "format of replica %s: %s",
			gen->name, ch_rc_str(rc));
	}
	mdb_rc = mdb_txn_commit(txn); /* also makes the handles lasting */
	return mdb_rc ? ch_lmdb_fail(err, mdb_rc, "commit", gen->name) : CH_OK;
}

static int try_env(
	const char *path, const struct ch_generation_open *how, struct ch_generation *gen)
{
	size_t map_b = how->map_b ? how->map_b : DEFAULT_MAP_B;
	unsigned readers = how->max_readers ? how->max_readers : CH_REPLICA_READERS_MAX;
	int mdb_rc = mdb_env_create(&gen->env);

	if (mdb_rc == 0)
		mdb_rc = mdb_env_set_maxdbs(gen->env, 4);
	if (mdb_rc == 0)
		mdb_rc = mdb_env_set_maxreaders(gen->env, readers);
	/* A reader takes the size that the writer noted in the file. */
	if (mdb_rc == 0 && how->writer)
		mdb_rc = mdb_env_set_mapsize(gen->env, map_b);
	/* Never MDB_NOSYNC, never MDB_NOLOCK. */
	if (mdb_rc == 0)
		mdb_rc = mdb_env_open(
			gen->env, path, MDB_NOTLS | (how->writer ? 0 : MDB_RDONLY), 0640);
	return mdb_rc ? mdb_rc : mdb_env_get_fd(gen->env, &gen->fd);
}

static int open_env(const char *path, const struct ch_generation_open *how,
	struct ch_generation *gen, struct ch_err *err)
{
	int mdb_rc = try_env(path, how, gen);

	/* A process that was killed while it made the table of readers left it half made to
	 * those that waited for it; the first one that comes afterwards makes it anew. */
	if (mdb_rc == MDB_INVALID) {
		mdb_env_close(gen->env);
		gen->env = NULL;
		mdb_rc = try_env(path, how, gen);
	}
	return mdb_rc ? ch_lmdb_fail(err, mdb_rc, "open the environment", gen->name) : CH_OK;
}

/* By path: a descriptor of this file must not be opened and closed beside LMDB's. */
static int note_lock(const char *dir, struct ch_generation *gen)
{
	char path[CH_REPLICA_PATH_B];
	struct stat st;

	if (ch_generation_path(path, dir, gen->name, "lock.mdb") || stat(path, &st) < 0)
		return CH_ECORRUPT;
	gen->lock_ino = st.st_ino;
	return CH_OK;
}

int ch_generation_open(const char *dir, const char *name, const struct ch_generation_open *how,
	struct ch_generation *ret_gen, struct ch_err *err)
{
	struct ch_generation gen = {.fd = -1};
	char path[CH_REPLICA_PATH_B];
	struct stat st;
	int rc;

	memcpy(gen.name, name, CH_GENERATION_NAME_B);
	if (ch_generation_path(path, dir, name, NULL))
		return ch_err_set(err, CH_ETOOBIG, "replica-path", "%s is too long", dir);
	/* The folder stands for its files. */
	if (stat(path, &st) < 0)
		return ch_err_set(err, CH_ECORRUPT, "replica-missing", "cannot open %s: %s",
			path, strerror(errno));
	rc = open_list_add(&st);
	if (rc)
		return ch_err_set(err, rc, "replica-open-twice",
			"%s is open in this process already", path);
	gen.dev = st.st_dev;
	gen.ino = st.st_ino;
	rc = open_env(path, how, &gen, err);
	if (rc == CH_OK)
		rc = note_lock(dir, &gen);
	if (rc == CH_OK)
		rc = ch_generation_check_size(&gen);
	if (rc == CH_ECORRUPT)
		(void)ch_err_set(err, rc, "replica-damaged", "replica %s is damaged", gen.name);
	if (rc == CH_OK)
		rc = open_databases(&gen, how, err);
	if (rc) {
		ch_generation_close(&gen);
		return rc;
	}
	*ret_gen = gen;
	return CH_OK;
}

void ch_generation_close(struct ch_generation *gen)
{
	if (gen->env)
		mdb_env_close(gen->env);
	if (gen->ino)
		open_list_drop(gen->dev, gen->ino);
	*gen = (struct ch_generation){.fd = -1};
}

int ch_generation_cursor(
	const struct ch_generation *gen, MDB_txn *txn, struct ch_cursor *ret_cursor)
{
	struct ch_cursor cursor = {.valid = false};
	MDB_val key = {.mv_size = 6, .mv_data = "cursor"};
	MDB_val val;
	int mdb_rc = mdb_get(txn, gen->meta, &key, &val);

	if (mdb_rc && mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	if (mdb_rc == 0) {
		struct ch_reader r;
		const uint8_t *epoch;

		ch_reader_init(&r, val.mv_data, val.mv_size);
		epoch = ch_read_bytes(&r, CH_EPOCH_B);
		if (epoch)
			memcpy(cursor.epoch, epoch, CH_EPOCH_B);
		cursor.seq = ch_read_u64(&r);
		cursor.base = ch_read_u64(&r);
		cursor.valid = true;
		if (r.rc || r.left)
			return CH_ECORRUPT;
	}
	*ret_cursor = cursor;
	return CH_OK;
}

int ch_generation_place(
	const struct ch_generation *gen, MDB_txn *txn, struct ch_place *ret_place)
{
	struct ch_place place = {.valid = false};
	MDB_val key = {.mv_size = 5, .mv_data = "place"};
	MDB_val val;
	int mdb_rc = mdb_get(txn, gen->meta, &key, &val);

	if (mdb_rc && mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	if (mdb_rc == 0) {
		struct ch_reader r;
		const uint8_t *epoch;
		const uint8_t *text;
		size_t len;

		ch_reader_init(&r, val.mv_data, val.mv_size);
		place.done = ch_read_u8(&r) != 0;
		epoch = ch_read_bytes(&r, CH_EPOCH_B);
		place.head = ch_read_u64(&r);
		len = r.left;
		text = ch_read_bytes(&r, len);
		if (r.rc || len >= sizeof(place.key))
			return CH_ECORRUPT;
		memcpy(place.epoch, epoch, CH_EPOCH_B);
		memcpy(place.key, text, len);
		place.valid = true;
	}
	*ret_place = place;
	return CH_OK;
}

/* n of them.  CH_ENOTFOUND. */
static int read_numbers(const struct ch_generation *gen, MDB_txn *txn, const char *name,
	uint64_t *ret_numbers, size_t n)
{
	MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)name};
	MDB_val val;
	struct ch_reader r;
	int mdb_rc = mdb_get(txn, gen->meta, &key, &val);

	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	ch_reader_init(&r, val.mv_data, val.mv_size);
	for (size_t i = 0; i < n; i++)
		ret_numbers[i] = ch_read_u64(&r);
	return r.rc || r.left ? CH_ECORRUPT : CH_OK;
}

int ch_generation_count(const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_names)
{
	uint64_t names = 0;
	int rc = read_numbers(gen, txn, "names", &names, 1);

	if (rc && rc != CH_ENOTFOUND)
		return rc;
	*ret_names = names;
	return CH_OK;
}

static int count_certs(const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_certs)
{
	uint64_t certs = 0;
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val val;
	int mdb_rc = mdb_cursor_open(txn, gen->names, &cursor);

	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	while ((mdb_rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0)
		certs += ch_generation_kind(&val) == CH_RECORD_CERT;
	mdb_cursor_close(cursor);
	if (mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	*ret_certs = certs;
	return CH_OK;
}

int ch_generation_certs(const struct ch_generation *gen, MDB_txn *txn, uint64_t *ret_certs)
{
	uint64_t numbers[2];
	/* Of a writing transaction: the number of the one before it, and one. */
	uint64_t now = mdb_txn_id(txn);
	int rc = read_numbers(gen, txn, "certs", numbers, CH_ARRAY_LEN(numbers));

	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (rc || (numbers[1] != now && numbers[1] + 1 != now))
		return count_certs(gen, txn, ret_certs);
	*ret_certs = numbers[0];
	return CH_OK;
}
