/* `certherd backup`, `certherd restore`, `certherd migrate`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/secret.h"
#include "stored/database.h"
#include "stored/kept.h"
#include "stored/stored.h"
#include "stored/transfer_show.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_KEPT = 3 };

static int complain(const char *command, const struct ch_err *err)
{
	bool is_absent = strcmp(err->problem, "no-backup") == 0;

	fprintf(stderr, "certherd %s: %s\n", command, err->detail);
	return err->rc == CH_EINVAL || is_absent ? EXIT_USAGE : EXIT_FAILED;
}

static int print_json(json_t *json)
{
	int failed = !json || json_dumpf(json, stdout, JSON_INDENT(2)) || puts("") < 0 ||
		     fflush(stdout);

	json_decref(json);
	return failed ? EXIT_FAILED : EXIT_DONE;
}

/* The configuration, and the store's database as ch_store_open takes it. */
static int load(
	const char *path, struct ch_conf **ret_conf, char **ret_database, struct ch_err *err)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	CH_AUTO_FREE char *database = NULL;
	int rc = ch_conf_load(path, &conf, err);

	if (rc) {
		err->rc = CH_EINVAL; /* wrong use, as with every other command */
		return rc;
	}
	database = ch_database_text(conf);
	if (!database)
		return ch_err_set(err, CH_EINVAL, "conf",
			"[store] database: expected sqlite:PATH or postgresql://HOST/DATABASE");
	*ret_conf = conf;
	conf = NULL;
	*ret_database = TAKE_PTR(database);
	return CH_OK;
}

/* What the three commands have in common. */
struct job {
	const char *command;
	const char *config; /* option */
	bool json;	    /* option */
	struct ch_conf *conf;
	char *database;
	struct ch_transfer_show show;
	struct ch_transfer how;
	struct ch_err err;
};

static void job_done(struct job *job)
{
	ch_conf_free(job->conf);
	free(job->database);
}
#define AUTO_JOB CH_CLEANUP(job_done)

/* -1: go on; else the exit status. */
static int job_begin(
	struct job *job, const struct ch_opts *opts, int argc, char **argv, size_t *ret_n)
{
	int rc;

	ch_secret_harden_process();
	job->command = opts->command;
	rc = ch_opts_parse(opts, argc, argv, ret_n);
	if (rc)
		return rc == CH_ECANCELED ? EXIT_DONE : EXIT_USAGE;
	return -1;
}

static int job_load(struct job *job)
{
	return load(ch_opts_config(job->config), &job->conf, &job->database, &job->err);
}

static int job_fail(struct job *job)
{
	return complain(job->command, &job->err);
}

/* ---- backup ---- */

static int tell_kept(struct ch_conf *conf, const char *folder, bool json,
	const struct ch_backup_info *info, struct ch_err *err)
{
	CH_AUTO_FREE struct ch_kept *kept = malloc(sizeof(*kept));
	size_t missing;

	if (!kept)
		return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
	if (ch_kept_check(conf, folder, kept, err))
		return err->rc;
	missing = ch_kept_count(kept, CH_KEPT_MISSING) +
		  (folder ? ch_kept_count(kept, CH_KEPT_UNREADABLE) : 0);
	if (json) {
		json_t *out = ch_transfer_info_json(info);

		if (!out || json_object_set_new(out, "kept", ch_kept_json(kept)))
			return ch_err_set(err, CH_ENOMEM, "internal", "out of memory");
		if (print_json(out))
			return ch_err_set(err, CH_EIO, "internal", "cannot write");
	} else {
		ch_transfer_info_print(info, stdout);
		printf("\nNot in it, and needed to restore; keep copies apart from it:\n");
		ch_kept_print(kept, stdout);
		if (!folder)
			printf("To have the copies checked: --kept FOLDER\n");
	}
	return missing ? ch_err_set(err, CH_ENOTFOUND, "not-kept",
				 "the backup is written, but %zu of the files that it needs "
				 "have no copy in %.300s",
				 missing, folder)
		       : CH_OK;
}

int ch_backup_main(int argc, char **argv)
{
	AUTO_JOB struct job job = {.json = false};
	const char *kept = NULL;
	const struct ch_opt list[] = {
		{"kept", "FOLDER",
			"check that copies of what the backup does not hold are in this folder",
			NULL, &kept},
		{"json", NULL, "for programs", &job.json, NULL},
		CH_OPT_CONFIG(&job.config),
	};
	const struct ch_opts opts = {"backup", "FILE [options]",
		"Writes the store's database into a new FILE (mode 0600), as it is at one "
		"moment;\n"
		"the store may run.  Run it on a store's host, as the store's user.  Keys of\n"
		"certificates are in it as the store has them: sealed.  Session ticket keys "
		"are\n"
		"not.  Exit status 3: written, but --kept found no copy of what is needed "
		"besides.",
		list, CH_ARRAY_LEN(list), 1, 1};
	struct ch_backup_info info;
	size_t n_args;
	int code = job_begin(&job, &opts, argc, argv, &n_args);
	int rc;

	if (code >= 0)
		return code;
	if (job_load(&job))
		return job_fail(&job);
	ch_transfer_show_begin(&job.show, &job.how);
	rc = ch_backup_write(job.database, argv[1], &job.how, &info, &job.err);
	ch_transfer_show_end(&job.show);
	if (!rc)
		rc = tell_kept(job.conf, kept, job.json, &info, &job.err);
	if (!rc)
		return EXIT_DONE;
	code = job_fail(&job);
	return strcmp(job.err.problem, "not-kept") == 0 ? EXIT_NOT_KEPT : code;
}

/* ---- restore ---- */

static int tell_restored(const struct ch_backup_info *info, bool json, bool only_checked)
{
	if (json)
		return print_json(ch_transfer_info_json(info));
	ch_transfer_info_print(info, stdout);
	if (only_checked)
		puts("\nWhole: every row is as it was written.  Nothing was changed.");
	else
		puts("\nRestored.  Next:\n"
		     "  1. See that the files that `certherd backup` listed are in place.\n"
		     "  2. Start the store, then issuers; agents find their way by "
		     "themselves.\n"
		     "  3. Edges hand back what they got after the backup; for 15 minutes "
		     "nothing\n"
		     "     is ordered, so that nothing is issued twice.  `certherd status` "
		     "tells.\n"
		     "  4. Names that were added or removed after the backup: have the "
		     "platform\n"
		     "     put and delete them again.");
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

int ch_restore_main(int argc, char **argv)
{
	AUTO_JOB struct job job = {.json = false};
	bool verify = false;
	const struct ch_opt list[] = {
		{"verify", NULL, "only read FILE to its end and check every row", &verify,
			NULL},
		{"json", NULL, "for programs", &job.json, NULL},
		CH_OPT_CONFIG(&job.config),
	};
	const struct ch_opts opts = {"restore", "FILE [options]",
		"Makes the store's database (as [store] names it) from a backup.  It must not "
		"exist\n"
		"yet (SQLite) or have no names (PostgreSQL); the kind may be another than that "
		"of\n"
		"the backup.  Every row is checked on the way.  doc/backup.md",
		list, CH_ARRAY_LEN(list), 1, 1};
	struct ch_backup_info info;
	size_t n_args;
	int code = job_begin(&job, &opts, argc, argv, &n_args);
	int rc;

	if (code >= 0)
		return code;
	if (!verify && job_load(&job))
		return job_fail(&job);
	ch_transfer_show_begin(&job.show, &job.how);
	rc = verify ? ch_backup_check(argv[1], &job.how, &info, &job.err)
		    : ch_backup_restore(argv[1], job.database, &job.how, &info, &job.err);
	ch_transfer_show_end(&job.show);
	return rc ? job_fail(&job) : tell_restored(&info, job.json, verify);
}

/* ---- migrate ---- */

static int tell_moved(const struct ch_move_info *info, const char *url, bool json)
{
	char copy[CH_TIME_STR_B];
	char pause[CH_TIME_STR_B];

	if (json)
		return print_json(json_pack("{s:I, s:I, s:f, s:f}", "rows",
			(json_int_t)info->rows, "changed_rows", (json_int_t)info->changed_rows,
			"copy_seconds", (double)info->copy_ms / 1000, "pause_seconds",
			(double)info->pause_ms / 1000));
	printf("Copied        %ju rows in %s, while the store could run\n"
	       "Then          %ju changed rows; without a store for %s\n\n"
	       "Now set `database = %s` in [store], on every store, and start\n"
	       "them.  Edges and issuers go on from where they are.\n",
		(uintmax_t)info->rows, ch_duration_str(info->copy_ms, copy),
		(uintmax_t)info->changed_rows, ch_duration_str(info->pause_ms, pause), url);
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

/* The store's database must be SQLite, and url fit the question. */
static int check_migrate(struct job *job, const char *url, bool abandon)
{
	if (strncmp(job->database, "sqlite:", 7) != 0)
		return ch_err_set(&job->err, CH_EINVAL, "usage",
			"the store's database is not SQLite: there is nothing to move");
	if (abandon && url)
		return ch_err_set(&job->err, CH_EINVAL, "usage",
			"--abandon takes no URL: the SQLite database says where it was going");
	if (!abandon && (!url || strncmp(url, "postgresql://", 13) != 0))
		return ch_err_set(&job->err, CH_EINVAL, "usage",
			"expected postgresql://HOST/DATABASE, as in `database` of [store]");
	return CH_OK;
}

static int abandon_move(struct job *job)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	const char *url = NULL;

	if (ch_arena_new(0, &arena))
		return EXIT_FAILED;
	if (ch_move_abandon(job->database + 7, &url, arena, &job->err))
		return job_fail(job);
	if (job->json)
		return print_json(json_pack("{s:s}", "abandoned", url));
	printf("Given back: the store goes on with %s.  Nothing of it is in\n%s\n",
		job->database, url);
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

int ch_migrate_main(int argc, char **argv)
{
	AUTO_JOB struct job job = {.json = false};
	bool abandon = false;
	const struct ch_opt list[] = {
		{"abandon", NULL, "give the SQLite database back after a run that was killed",
			&abandon, NULL},
		{"json", NULL, "for programs", &job.json, NULL},
		CH_OPT_CONFIG(&job.config),
	};
	const struct ch_opts opts = {"migrate", "postgresql://…|--abandon [options]",
		"Moves the store from SQLite to a PostgreSQL database without names.  All is "
		"copied\n"
		"and compared while the store runs; then the command asks for the store to be\n"
		"stopped, copies what has changed since, and says how long that took.  Either "
		"all\n"
		"is there at the end or nothing, and at no moment can both be used; after a "
		"run that\n"
		"was killed, run it again.  doc/backup.md",
		list, CH_ARRAY_LEN(list), 0, 1};
	struct ch_move_info info;
	size_t n_args;
	int code = job_begin(&job, &opts, argc, argv, &n_args);
	int rc;

	if (code >= 0)
		return code;
	rc = job_load(&job);
	if (!rc)
		rc = check_migrate(&job, n_args ? argv[1] : NULL, abandon);
	if (rc)
		return job_fail(&job);
	if (abandon)
		return abandon_move(&job);
	ch_transfer_show_begin(&job.show, &job.how);
	rc = ch_move_to_postgres(job.database + 7, argv[1], &job.how, &info, &job.err);
	ch_transfer_show_end(&job.show);
	return rc ? job_fail(&job) : tell_moved(&info, argv[1], job.json);
}
