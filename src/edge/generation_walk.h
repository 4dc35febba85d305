/* Internal to src/edge: what only the writer does with a generation.  But for walks this
 * process must not have it open then: closing a descriptor of lock.mdb drops LMDB's locks. */
#ifndef CH_EDGE_GENERATION_WALK_H
#define CH_EDGE_GENERATION_WALK_H

#include <sys/types.h>

#include "edge/generation.h"

/* The problem of a generation whose pages lead LMDB astray: who reads it may crash, or read
 * what lies beside.  One that readers refuse by themselves, or with records that cannot be
 * used, has another. */
#define CH_PROBLEM_PAGES "replica-pages"

/* Reads every page and record, in a child process, since damaged pages can crash LMDB; takes as
 * long as reading the file.  CH_ECORRUPT; CH_EAGAIN and CH_EIO: no such process could be had,
 * or it was ended from outside.  Whatever else is wrong is left to ch_generation_open. */
CH_MUST int ch_generation_walk(const char *dir, const char *name, struct ch_err *err);

/* The same beside other work, also of a generation that this process has open: begin one, ask
 * until it is over (CH_EAGAIN, problem CH_PROBLEM_WALKING, until then), or stop it.  gently:
 * only with what time the disk and the processors have left. */
#define CH_PROBLEM_WALKING "replica-walking"
CH_MUST int ch_generation_walk_begin(
	const char *dir, const char *name, bool gently, pid_t *ret_pid, struct ch_err *err);
CH_MUST int ch_generation_walk_ask(pid_t pid, const char *name, struct ch_err *err);
void ch_generation_walk_stop(pid_t pid);

/* Takes the disk's blocks for all of lock.mdb, which LMDB itself leaves as a hole: a reader
 * that enters itself into a hole of a full disk's file is killed by SIGBUS.  With `create` the
 * file is made, and CH_EFULL says that there is no room. */
CH_MUST int ch_generation_reserve_lock(const char *dir, const char *name, unsigned max_readers,
	bool create, struct ch_err *err);

#endif
