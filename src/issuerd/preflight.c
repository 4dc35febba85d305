#include "issuerd/preflight_impl.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "issuerd/persist.h"

#define KEEP_MS (2 * CH_MINUTE_MS)
/* A name of many labels whose servers are slow is given up. */
#define WHOLE_MS (30 * CH_SECOND_MS)
#define ACCOUNT_B 1024

struct fetch { /* which address of which job */
	struct ch_preflight_job *job;
	size_t site;
};

static size_t bucket_of(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h % CH_PREFLIGHT_BUCKETS;
}

static void job_free(struct ch_preflight_job *job)
{
	free(job->a);
	free(job->aaaa);
	free(job->sites);
	free(job);
}

/* With the lock held, as all that follows up to the callbacks. */
void ch_preflight_end(struct ch_preflight_job *job, enum ch_preflight_fate fate)
{
	job->ended = true;
	job->ended_ms = ch_mono_ms();
	job->result.fate = fate;
	ch_scout_ended(job);
}

static void end_bad(struct ch_preflight_job *job, const char *problem, enum ch_actor actor,
	bool away, const char *detail)
{
	ch_err_set(&job->result.err, CH_ECONFLICT, problem, "%s", detail);
	job->result.err.actor = actor;
	job->result.away = away;
	ch_preflight_end(job, CH_PREFLIGHT_BAD);
}

static void end_judged(struct ch_preflight_job *job)
{
	int rc = ch_sites_judge(job->sites, job->name, &job->result.away, &job->result.err);

	ch_preflight_end(job, rc ? CH_PREFLIGHT_BAD : CH_PREFLIGHT_GOOD);
}

static void on_fetched(const struct ch_reach_answer *answer, void *arg);

static void begin_fetches(struct ch_preflight_job *job)
{
	struct ch_preflight *p = job->preflight;
	uint8_t raw[CH_PREFLIGHT_TOKEN_RAW_B];

	if (p->options.self_check && RAND_bytes(raw, sizeof(raw)) == 1) {
		strcpy(job->path, CH_PREFLIGHT_PATH);
		ch_b64u_encode(raw, sizeof(raw), job->path + strlen(CH_PREFLIGHT_PATH));
		ch_sites_choose(job->sites, p->options.may_ask);
	}
	for (size_t i = 0; i < job->sites->n; i++) {
		struct fetch *f;

		if (!job->sites->list[i].ask)
			continue;
		f = malloc(sizeof(*f));
		if (f)
			*f = (struct fetch){.job = job, .site = i};
		if (f && ch_reach_ask(p->reach, job->name, job->sites->list[i].address,
				 p->options.http_port, job->path, on_fetched, f) == CH_OK)
			job->pending++;
		else
			free(f);
	}
	if (job->pending == 0)
		end_judged(job);
}

static void on_caa(const struct ch_dns_answer *answer, void *arg);

static bool ask(struct ch_preflight_job *job, const char *name, enum ch_dns_type type,
	ch_dns_done *done)
{
	if (ch_dns_ask(job->preflight->dns, name, type, done, job))
		return false;
	job->pending++;
	return true;
}

static void ask_caa(struct ch_preflight_job *job)
{
	if (!ask(job, job->caa_at, CH_DNS_CAA, on_caa))
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
}

static bool is_wildcard(const struct ch_preflight_job *job)
{
	return strncmp(job->name, "*.", 2) == 0;
}

static bool is_by_dns(const struct ch_preflight_job *job)
{
	return job->method == CH_ACME_DNS_01 || job->method == CH_ACME_DNS_PERSIST_01;
}

static void begin_caa(struct ch_preflight_job *job)
{
	job->caa_at = job->name + (is_wildcard(job) ? 2 : 0);
	ask_caa(job);
}

/* Where no resolver of ours answers anything, a timeout is no fault of the name's. */
static bool is_ours_to_mend(const struct ch_preflight_job *job, enum ch_dns_status status)
{
	return status == CH_DNS_CANCELED ||
	       (status == CH_DNS_TIMEOUT && !ch_dns_is_up(job->preflight->dns));
}

static bool is_failure(enum ch_dns_status status)
{
	return status == CH_DNS_FAILED || status == CH_DNS_TIMEOUT;
}

static void end_without_address(struct ch_preflight_job *job)
{
	const struct ch_dns_answer *bad = is_failure(job->a->status) ? job->a : job->aaaa;
	const char *last = job->a->n_chain ? job->a->chain[job->a->n_chain - 1] : NULL;
	char detail[400 + 2 * CH_DNS_NAME_B];
	char here[CH_PLATFORM_HERE_B];

	if (is_ours_to_mend(job, job->a->status) || is_ours_to_mend(job, job->aaaa->status)) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
	} else if (is_failure(bad->status)) {
		snprintf(detail, sizeof(detail),
			"The DNS servers of %s %s when they are asked for its addresses: no CA "
			"could validate it.",
			job->name,
			bad->status == CH_DNS_TIMEOUT ? "do not answer"
						      : "answer with an error");
		end_bad(job, "dns-failed", CH_ACTOR_CUSTOMER, true, detail);
	} else {
		snprintf(detail, sizeof(detail),
			last ? "%s is an alias of %s, which has no A or AAAA record."
			     : "%s has no A or AAAA record: point it %s.",
			job->name,
			last ? last : ch_platform_here(job->preflight->options.platform, here));
		end_bad(job, "dns-no-address", CH_ACTOR_CUSTOMER, true, detail);
	}
}

/* What cannot succeed need not be asked about CAA. */
static void judge_addresses(struct ch_preflight_job *job)
{
	struct ch_preflight *p = job->preflight;

	if (job->a->status != CH_DNS_FOUND && job->aaaa->status != CH_DNS_FOUND) {
		end_without_address(job);
		return;
	}
	free(job->sites);
	job->sites = malloc(sizeof(*job->sites));
	if (!job->sites) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
		return;
	}
	ch_sites_from(p->options.platform, job->name, job->a, job->aaaa, job->sites);
	/* With a self-check what answers there comes first. */
	if (!p->options.self_check &&
		ch_sites_judge(job->sites, job->name, &job->result.away, &job->result.err))
		ch_preflight_end(job, CH_PREFLIGHT_BAD);
	else if (!job->who)
		ch_preflight_end(job, CH_PREFLIGHT_GOOD);
	else
		begin_caa(job);
}

static void judge_caa(struct ch_preflight_job *job, const struct ch_dns_answer *answer)
{
	struct ch_preflight *p = job->preflight;
	struct ch_caa_asker asker = {
		.method = ch_acme_challenge_str(job->method), .wildcard = is_wildcard(job)};
	char account[ACCOUNT_B] = "";
	char detail[200 + 2 * CH_DNS_NAME_B];
	const char *dot;

	if (is_ours_to_mend(job, answer->status)) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
		return;
	}
	if (is_failure(answer->status)) {
		snprintf(detail, sizeof(detail),
			"The CAA records of %s cannot be looked up (%s): a CA refuses then.",
			job->caa_at,
			answer->status == CH_DNS_TIMEOUT ? "no answer" : "an error");
		end_bad(job, "caa-failed", CH_ACTOR_CUSTOMER, false, detail);
		return;
	}
	if (answer->status != CH_DNS_FOUND) {
		/* RFC 8659 section 3: up the name, not the alias. */
		dot = strchr(job->caa_at, '.');
		if (dot && ch_mono_ms() - job->began_ms > WHOLE_MS) {
			end_bad(job, "caa-failed", CH_ACTOR_CUSTOMER, false,
				"The CAA records of the domains above the name take too long "
				"to "
				"look up: a CA gives up then.");
			return;
		}
		if (dot) {
			job->caa_at = dot + 1;
			ask_caa(job);
			return;
		}
	} else {
		asker.account = account;
		p->options.asker(job->who, &asker, account, sizeof(account));
		if (ch_caa_judge(answer, job->caa_at, &asker, &job->result.err)) {
			ch_preflight_end(job, CH_PREFLIGHT_BAD);
			return;
		}
	}
	if (is_by_dns(job))
		ch_preflight_end(job, CH_PREFLIGHT_GOOD);
	else
		begin_fetches(job);
}

static void on_persist(const struct ch_dns_answer *answer, void *arg);

static void begin_persist(struct ch_preflight_job *job)
{
	char owner[CH_DNS_NAME_B];

	if (ch_persist_owner(job->name, owner)) {
		ch_err_set(&job->result.err, CH_ETOOBIG, "persist-too-long",
			"%s is too long for a TXT record at " CH_PERSIST_LABEL
			"…: it needs another challenge.",
			job->name);
		job->result.err.actor = CH_ACTOR_PLATFORM;
		ch_preflight_end(job, CH_PREFLIGHT_BAD);
	} else if (!ask(job, owner, CH_DNS_TXT, on_persist)) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
	}
}

static void judge_persist(struct ch_preflight_job *job, const struct ch_dns_answer *answer)
{
	struct ch_preflight *p = job->preflight;
	struct ch_caa_asker asker = {.wildcard = is_wildcard(job)};
	char account[ACCOUNT_B] = "";
	char detail[200 + CH_DNS_NAME_B];

	if (is_ours_to_mend(job, answer->status)) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
		return;
	}
	if (is_failure(answer->status)) {
		snprintf(detail, sizeof(detail),
			"The TXT record " CH_PERSIST_LABEL "%s cannot be looked up (%s).",
			job->name + (is_wildcard(job) ? 2 : 0),
			answer->status == CH_DNS_TIMEOUT ? "no answer" : "an error");
		end_bad(job, "persist-failed", CH_ACTOR_CUSTOMER, false, detail);
		return;
	}
	asker.account = account;
	p->options.asker(job->who, &asker, account, sizeof(account));
	if (ch_persist_judge(
		    answer, job->name, &asker, ch_now_ms() / CH_SECOND_MS, &job->result.err))
		ch_preflight_end(job, CH_PREFLIGHT_BAD);
	else
		begin_caa(job);
}

/* After a callback: whoever waits is told, without the lock. */
static void unlock_and_wake(struct ch_preflight *p, struct ch_preflight_job *job)
{
	bool ended = job->ended;
	uint64_t order = job->order;

	pthread_mutex_unlock(&p->lock);
	if (ended && p->options.wake)
		p->options.wake(p->options.arg, order);
}

static void note_addresses(struct ch_preflight_job *job, struct ch_dns_answer **slot,
	const struct ch_dns_answer *answer)
{
	struct ch_preflight *p = job->preflight;
	/* Without the texts, which are most of it, and which addresses have none of. */
	void *part = malloc(offsetof(struct ch_dns_answer, texts));

	pthread_mutex_lock(&p->lock);
	job->pending--;
	*slot = part;
	if (part)
		memcpy(part, answer, offsetof(struct ch_dns_answer, texts));
	if (job->pending == 0) {
		if (job->a && job->aaaa)
			judge_addresses(job);
		else
			ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
		free(TAKE_PTR(job->a));
		free(TAKE_PTR(job->aaaa));
	}
	unlock_and_wake(p, job);
}

static void on_a(const struct ch_dns_answer *answer, void *arg)
{
	struct ch_preflight_job *job = arg;

	note_addresses(job, &job->a, answer);
}

static void on_aaaa(const struct ch_dns_answer *answer, void *arg)
{
	struct ch_preflight_job *job = arg;

	note_addresses(job, &job->aaaa, answer);
}

static void on_caa(const struct ch_dns_answer *answer, void *arg)
{
	struct ch_preflight_job *job = arg;
	struct ch_preflight *p = job->preflight;

	pthread_mutex_lock(&p->lock);
	job->pending--;
	judge_caa(job, answer);
	unlock_and_wake(p, job);
}

static void on_persist(const struct ch_dns_answer *answer, void *arg)
{
	struct ch_preflight_job *job = arg;
	struct ch_preflight *p = job->preflight;

	pthread_mutex_lock(&p->lock);
	job->pending--;
	judge_persist(job, answer);
	unlock_and_wake(p, job);
}

static enum ch_seen seen(
	const struct ch_preflight_job *job, const struct ch_reach_answer *answer)
{
	const char *token = job->path + strlen(CH_PREFLIGHT_PATH);
	size_t len = strlen(token);
	const char *rest = answer->body + len + 1;
	size_t print_len = strlen(job->thumbprint);

	if (answer->rc == CH_ENETWORK || answer->rc == CH_ETIMEOUT)
		return CH_SEEN_NOBODY;
	/* Stopping, or it leads where we do not follow: the CA will tell. */
	if (answer->rc == CH_ECANCELED || answer->rc == CH_ENOMEM || answer->elsewhere[0])
		return CH_SEEN_EDGE;
	if (answer->rc || answer->status != 200 || strncmp(answer->body, token, len) != 0 ||
		answer->body[len] != '.')
		return CH_SEEN_OTHER;
	if (strncmp(rest, job->thumbprint, print_len) == 0 &&
		rest[print_len + strspn(rest + print_len, " \t\r\n")] == 0)
		return CH_SEEN_EDGE;
	return CH_SEEN_ACCOUNT;
}

static void on_fetched(const struct ch_reach_answer *answer, void *arg)
{
	struct fetch *f = arg;
	struct ch_preflight_job *job = f->job;
	struct ch_preflight *p = job->preflight;

	pthread_mutex_lock(&p->lock);
	job->sites->list[f->site].seen = seen(job, answer);
	if (--job->pending == 0)
		end_judged(job);
	unlock_and_wake(p, job);
	free(f);
}

int ch_preflight_new(const struct ch_preflight_options *options,
	struct ch_preflight **ret_preflight, struct ch_err *err)
{
	struct ch_dns_options dns = {
		.resolvers = options->resolvers, .timeout_ms = options->dns_timeout_ms};
	struct ch_preflight *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	p->options = *options;
	pthread_mutex_init(&p->lock, NULL);
	TAILQ_INIT(&p->next);
	TAILQ_INIT(&p->alive);
	TAILQ_INIT(&p->dead);
	TAILQ_INIT(&p->told);
	rc = ch_dns_new(&dns, &p->dns, err);
	if (rc == CH_OK && options->self_check)
		rc = ch_reach_new(&p->reach, err);
	if (rc) {
		ch_preflight_free(p);
		return rc;
	}
	*ret_preflight = p;
	return CH_OK;
}

void ch_preflight_free(struct ch_preflight *p)
{
	if (!p)
		return;
	/* Their callbacks may begin fetches, but no fetch a question. */
	ch_dns_free(p->dns);
	ch_reach_free(p->reach);
	for (size_t i = 0; i < CH_PREFLIGHT_BUCKETS; i++) {
		while (p->buckets[i]) {
			struct ch_preflight_job *job = p->buckets[i];

			p->buckets[i] = job->next;
			job_free(job);
		}
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct ch_preflight_job **ch_preflight_find(
	struct ch_preflight *p, const void *who, const char *name)
{
	struct ch_preflight_job **at = &p->buckets[bucket_of(name)];

	while (*at && ((*at)->who != who || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

void ch_preflight_drop(struct ch_preflight *p, struct ch_preflight_job **at)
{
	struct ch_preflight_job *job = *at;

	ch_scout_forget(job);
	*at = job->next;
	p->n--;
	job_free(job);
}

bool ch_preflight_is_old(const struct ch_preflight_job *job)
{
	return job->ended && job->pending == 0 && ch_mono_ms() - job->ended_ms > KEEP_MS;
}

/* One bucket each time: what nobody came back for goes. */
static void sweep(struct ch_preflight *p)
{
	struct ch_preflight_job **at = &p->buckets[p->sweep++ % CH_PREFLIGHT_BUCKETS];

	while (*at) {
		if (ch_preflight_is_old(*at) && (*at)->scout == CH_SCOUT_NO)
			ch_preflight_drop(p, at);
		else
			at = &(*at)->next;
	}
}

struct ch_preflight_job *ch_preflight_job_new(struct ch_preflight *p, const char *name)
{
	struct ch_preflight_job **bucket = &p->buckets[bucket_of(name)];
	struct ch_preflight_job *job;

	if (p->n >= CH_PREFLIGHT_MAX)
		ch_scout_make_room(p);
	if (p->n >= CH_PREFLIGHT_MAX || !(job = calloc(1, sizeof(*job))))
		return NULL;
	job->preflight = p;
	job->began_ms = ch_mono_ms();
	snprintf(job->name, sizeof(job->name), "%s", name);
	job->next = *bucket;
	*bucket = job;
	p->n++;
	return job;
}

void ch_preflight_ask_addresses(struct ch_preflight_job *job)
{
	if (!ask(job, job->name, CH_DNS_AAAA, on_aaaa)) {
		ch_preflight_end(job, CH_PREFLIGHT_UNKNOWN);
		return;
	}
	/* The one that is open ends it then. */
	(void)!ask(job, job->name, CH_DNS_A, on_a);
}

static void set_subject(
	struct ch_preflight_job *job, const struct ch_preflight_subject *subject)
{
	job->order = subject->order;
	job->who = subject->who;
	job->thumbprint = subject->thumbprint;
	job->method = subject->method;
}

static void begin(struct ch_preflight *p, const struct ch_preflight_subject *subject)
{
	struct ch_preflight_job *job = ch_preflight_job_new(p, subject->name);

	if (!job)
		return;
	set_subject(job, subject);
	if (job->method == CH_ACME_DNS_PERSIST_01)
		begin_persist(job);
	else if (is_by_dns(job))
		begin_caa(job);
	else
		ch_preflight_ask_addresses(job);
}

/* What was found out before there was an order: it goes on from there.  False: there is nothing
 * of use. */
static bool go_on(struct ch_preflight *p, const struct ch_preflight_subject *subject,
	struct ch_preflight_result *ret_result)
{
	struct ch_preflight_job **at = ch_preflight_find(p, NULL, subject->name);
	struct ch_preflight_job *job = *at;

	if (!job || subject->method == CH_ACME_DNS_01 ||
		subject->method == CH_ACME_DNS_PERSIST_01)
		return false;
	if (!job->ended) {
		job->order = subject->order;
		return true;
	}
	if (ch_preflight_is_old(job) || job->result.fate == CH_PREFLIGHT_UNKNOWN) {
		ch_preflight_drop(p, at);
		return false;
	}
	if (job->result.fate == CH_PREFLIGHT_BAD) {
		*ret_result = job->result;
		return true;
	}
	ch_scout_forget(job);
	job->ended = false;
	job->began_ms = ch_mono_ms();
	set_subject(job, subject);
	begin_caa(job);
	return true;
}

void ch_preflight_look(struct ch_preflight *p, const struct ch_preflight_subject *subject,
	struct ch_preflight_result *ret_result)
{
	struct ch_preflight_job **at;

	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->fate = CH_PREFLIGHT_WAIT;
	pthread_mutex_lock(&p->lock);
	sweep(p);
	at = ch_preflight_find(p, subject->who, subject->name);
	if (*at && ch_preflight_is_old(*at)) {
		ch_preflight_drop(p, at);
		at = ch_preflight_find(p, subject->who, subject->name);
	}
	if (!*at) {
		if (!go_on(p, subject, ret_result))
			begin(p, subject);
	} else if ((*at)->ended && (*at)->pending == 0) {
		*ret_result = (*at)->result;
	} else {
		(*at)->order = subject->order;
	}
	pthread_mutex_unlock(&p->lock);
}

void ch_preflight_forget(struct ch_preflight *p, const struct ch_preflight_subject *subject)
{
	struct ch_preflight_job **at;

	pthread_mutex_lock(&p->lock);
	at = ch_preflight_find(p, subject->who, subject->name);
	if (*at && (*at)->ended && (*at)->pending == 0)
		ch_preflight_drop(p, at);
	pthread_mutex_unlock(&p->lock);
}
