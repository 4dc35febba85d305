/* Looks at names before there is an order: preflight.h. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/preflight_impl.h"

/* The rest is for orders. */
#define SCOUTS_MAX (CH_PREFLIGHT_MAX / 4 * 3)
/* Packets wait in the buffers of sockets, ours and the resolver's, and what does not fit is
 * lost: no more are asked at once.  What a resolver has not answered within a beat is with
 * somebody else's servers, and takes no place there. */
#define YOUNG_MAX 100
#define BEAT_MS INT64_C(100)

static size_t *count_of(struct ch_preflight_job *job)
{
	struct ch_preflight_counts *counts = &job->preflight->counts;

	return job->scout == CH_SCOUT_ALIVE  ? &counts->alive
	       : job->scout == CH_SCOUT_DEAD ? &counts->dead
	       : job->scout == CH_SCOUT_TOLD ? &job->preflight->n_told
					     : &counts->open;
}

static struct ch_preflight_list *list_of(struct ch_preflight_job *job)
{
	switch (job->scout) {
	case CH_SCOUT_NEXT:
		return &job->preflight->next;
	case CH_SCOUT_ALIVE:
		return &job->preflight->alive;
	case CH_SCOUT_DEAD:
		return &job->preflight->dead;
	case CH_SCOUT_TOLD:
		return &job->preflight->told;
	default:
		return NULL;
	}
}

static void set_state(struct ch_preflight_job *job, enum ch_scout_state state)
{
	struct ch_preflight *p = job->preflight;
	struct ch_preflight_list *list = list_of(job);

	if (job->scout != CH_SCOUT_NO)
		--*count_of(job);
	if (job->scout == CH_SCOUT_OPEN && job->beat == p->beat)
		p->young--;
	if (list)
		TAILQ_REMOVE(list, job, scouts);
	p->counts.next -= job->scout == CH_SCOUT_NEXT;
	p->counts.next += state == CH_SCOUT_NEXT;
	job->scout = state;
	list = list_of(job);
	if (state != CH_SCOUT_NO)
		++*count_of(job);
	if (state == CH_SCOUT_OPEN) {
		job->beat = p->beat;
		p->young++;
	}
	if (list)
		TAILQ_INSERT_TAIL(list, job, scouts);
}

/* Begins those that come next, as far as that is good. */
static void pump(struct ch_preflight *p)
{
	struct ch_preflight_job *job;

	/* A question that cannot be asked ends a look at once. */
	if (p->pumping)
		return;
	p->pumping = true;
	while (p->young < YOUNG_MAX && (job = TAILQ_FIRST(&p->next)) != NULL) {
		set_state(job, CH_SCOUT_OPEN);
		ch_preflight_ask_addresses(job);
	}
	p->pumping = false;
}

void ch_scout_ended(struct ch_preflight_job *job)
{
	if (job->scout != CH_SCOUT_OPEN && job->scout != CH_SCOUT_NEXT)
		return;
	set_state(job, job->result.fate == CH_PREFLIGHT_BAD ? CH_SCOUT_DEAD : CH_SCOUT_ALIVE);
	pump(job->preflight);
}

void ch_scout_forget(struct ch_preflight_job *job)
{
	set_state(job, CH_SCOUT_NO);
}

void ch_scout_make_room(struct ch_preflight *p)
{
	struct ch_preflight_job *job = TAILQ_FIRST(&p->told);

	if (job)
		ch_preflight_drop(p, ch_preflight_find(p, NULL, job->name));
}

static void begin(struct ch_preflight *p, const struct ch_look *look)
{
	struct ch_preflight_job *job;

	/* Of very many that wait for a limit nothing has to be known yet. */
	if (p->n >= SCOUTS_MAX)
		ch_scout_make_room(p);
	job = p->n < SCOUTS_MAX ? ch_preflight_job_new(p, look->name) : NULL;
	if (!job)
		return;
	job->look = *look;
	job->look.name = job->name;
	set_state(job, CH_SCOUT_NEXT);
	/* Where a wildcard leads does not matter. */
	if (strncmp(look->name, "*.", 2) == 0)
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
	else
		pump(p);
}

void ch_preflight_scout(struct ch_preflight *p, const struct ch_look *look)
{
	struct ch_preflight_job **at;

	pthread_mutex_lock(&p->lock);
	at = ch_preflight_find(p, NULL, look->name);
	if (*at && (!(*at)->ended || (*at)->scout == CH_SCOUT_ALIVE)) {
		/* It was handed out again meanwhile.  That a name is dead is found out anew,
		 * since somebody may have mended it. */
		(*at)->look = *look;
		(*at)->look.name = (*at)->name;
	} else {
		if (*at)
			ch_preflight_drop(p, at);
		begin(p, look);
	}
	pthread_mutex_unlock(&p->lock);
}

static void beat(struct ch_preflight *p)
{
	struct ch_preflight_job *job;
	int64_t now_ms = ch_mono_ms();

	if (now_ms - p->beat_ms < BEAT_MS)
		return;
	p->beat_ms = now_ms;
	p->beat++;
	p->young = 0;
	while ((job = TAILQ_FIRST(&p->told)) != NULL && ch_preflight_is_old(job))
		ch_preflight_drop(p, ch_preflight_find(p, NULL, job->name));
	pump(p);
}

void ch_preflight_counts(struct ch_preflight *p, struct ch_preflight_counts *ret_counts)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	beat(p);
	*ret_counts = p->counts;
	n = p->n - p->n_told;
	ret_counts->room = n < SCOUTS_MAX ? SCOUTS_MAX - n : 0;
	pthread_mutex_unlock(&p->lock);
}

static void tell(const struct ch_preflight_job *job, bool dead, struct ch_scouted *ret_one)
{
	strcpy(ret_one->name, job->name);
	ret_one->look = job->look;
	ret_one->look.name = ret_one->name;
	if (dead)
		ret_one->result = job->result;
}

/* The store makes orders for as many as there is room for: each fourth is one of those that
 * came last, whose customers may be waiting. */
size_t ch_preflight_scouted(
	struct ch_preflight *p, bool dead, struct ch_scouted *ret_list, size_t most)
{
	struct ch_preflight_list *jobs = dead ? &p->dead : &p->alive;
	struct ch_preflight_job *first;
	struct ch_preflight_job *last;
	bool more;
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	first = TAILQ_FIRST(jobs);
	last = TAILQ_LAST(jobs, ch_preflight_list);
	for (more = first != NULL; more && n < most; n++) {
		bool of_the_end = !dead && n % 4 == 3;

		more = first != last;
		tell(of_the_end ? last : first, dead, &ret_list[n]);
		if (of_the_end)
			last = TAILQ_PREV(last, ch_preflight_list, scouts);
		else
			first = TAILQ_NEXT(first, scouts);
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

void ch_preflight_told(struct ch_preflight *p, const struct ch_scouted *list, size_t n)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < n; i++) {
		struct ch_preflight_job **at = ch_preflight_find(p, NULL, list[i].name);

		/* An order may have gone on with it, or another look begun. */
		if (!*at || !(*at)->ended || (*at)->look.until_ms != list[i].look.until_ms)
			continue;
		if ((*at)->scout == CH_SCOUT_DEAD)
			ch_preflight_drop(p, at);
		else
			set_state(*at, CH_SCOUT_TOLD);
	}
	pthread_mutex_unlock(&p->lock);
}
