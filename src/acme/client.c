#include "acme/client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "acme/patience.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define DIRECTORY_KEEP_MS CH_DAY_MS
#define TIMEOUT_MS (30 * CH_SECOND_MS)

struct ch_acme {
	char directory_url[CH_ACME_URL_B];
	EVP_PKEY *key;
	struct ch_acme_nonces nonces;
	int64_t timeout_ms;
	struct ch_acme_patience patience;
	ch_acme_pass pass; /* NULL: all pass */
	void *pass_arg;
	pthread_mutex_t lock; /* of what follows */
	struct ch_acme_directory directory;
	int64_t directory_until_ms; /* monotonic; 0: not known */
	char kid[CH_ACME_URL_B];
};

int ch_acme_new(
	const char *directory_url, EVP_PKEY *key, struct ch_acme **ret_acme, struct ch_err *err)
{
	struct ch_acme *acme;

	if (!ch_acme_url_ok(directory_url))
		return ch_err_set(err, CH_EINVAL, "ca-bad-url",
			"the directory URL must begin with https:// and be shorter than %d "
			"bytes",
			CH_ACME_URL_B);
	acme = calloc(1, sizeof(*acme));
	if (!acme || EVP_PKEY_up_ref(key) != 1) {
		free(acme);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	strcpy(acme->directory_url, directory_url);
	acme->key = key;
	ch_acme_nonces_init(&acme->nonces);
	pthread_mutex_init(&acme->lock, NULL);
	*ret_acme = acme;
	return CH_OK;
}

void ch_acme_free(struct ch_acme *acme)
{
	if (!acme)
		return;
	EVP_PKEY_free(acme->key);
	ch_acme_nonces_done(&acme->nonces);
	pthread_mutex_destroy(&acme->lock);
	free(acme);
}

void ch_acme_set_account(struct ch_acme *acme, const char *url)
{
	pthread_mutex_lock(&acme->lock);
	if (url[0] == 0 || ch_acme_url_ok(url))
		strcpy(acme->kid, url);
	pthread_mutex_unlock(&acme->lock);
}

bool ch_acme_get_account(struct ch_acme *acme, char ret_url[CH_ACME_URL_B])
{
	pthread_mutex_lock(&acme->lock);
	strcpy(ret_url, acme->kid);
	pthread_mutex_unlock(&acme->lock);
	return ret_url[0] != 0;
}

void ch_acme_set_timeout(struct ch_acme *acme, int64_t timeout_ms)
{
	acme->timeout_ms = timeout_ms;
}

void ch_acme_set_pass(struct ch_acme *acme, ch_acme_pass pass, void *arg)
{
	acme->pass = pass;
	acme->pass_arg = arg;
}

size_t ch_acme_get_identities(
	struct ch_acme *acme, char ret_identities[CH_ACME_IDENTITIES_MAX][CH_ACME_IDENTITY_B])
{
	size_t n;

	pthread_mutex_lock(&acme->lock);
	n = acme->directory.n_caa_identities;
	memcpy(ret_identities, acme->directory.caa_identities,
		sizeof(acme->directory.caa_identities));
	pthread_mutex_unlock(&acme->lock);
	return n;
}

bool ch_acme_has_renewal_info(struct ch_acme *acme)
{
	bool has;

	pthread_mutex_lock(&acme->lock);
	has = acme->directory.renewal_info[0] != 0;
	pthread_mutex_unlock(&acme->lock);
	return has;
}

static void open_session(struct ch_acme *acme, struct ch_acme_session *session)
{
	memset(session, 0, sizeof(*session));
	session->directory_url = acme->directory_url;
	session->key = acme->key;
	session->nonces = &acme->nonces;
	session->timeout_ms = acme->timeout_ms;
}

/* A 404 on one of the directory's own URLs: an old directory, no word on any object. */
static bool is_stale_directory(const struct ch_acme_call *call, enum ch_acme_fate fate)
{
	return fate == CH_ACME_GONE &&
	       (call->sending == CH_ACME_NEW_NONCE || call->sending == CH_ACME_NEW_ORDER ||
		       call->sending == CH_ACME_KEY_CHANGE || call->sending == CH_ACME_REVOKE ||
		       call->sending == CH_ACME_NEW_ACCOUNT ||
		       call->sending == CH_ACME_FIND_ACCOUNT);
}

static bool may_send(
	struct ch_acme *acme, struct ch_acme_call *call, struct ch_acme_answer *ans)
{
	if (!acme->pass || acme->pass(acme->pass_arg, ch_acme_call_choose(call), ans))
		return true;
	ans->unsent = true;
	return false;
}

/* As ch_http_send: who has kept us waiting for nothing once is asked patiently the next time.
 */
static int send_one(struct ch_acme *acme, struct ch_http *http, bool patient,
	struct ch_http_req *out, struct ch_http_resp *resp, struct ch_err *err)
{
	int64_t most_ms = out->timeout_ms ? out->timeout_ms : TIMEOUT_MS;
	int64_t began_ms = ch_mono_ms();
	int rc;

	out->timeout_ms = patient ? most_ms : ch_acme_patience_ms(&acme->patience, most_ms);
	rc = ch_http_send(http, out, resp, err);
	if (!rc)
		ch_acme_patience_answered(&acme->patience, ch_mono_ms() - began_ms);
	else if (rc == CH_ETIMEOUT && out->timeout_ms < most_ms)
		ch_acme_patience_late(&acme->patience, out->timeout_ms);
	return rc;
}

/* An order that was made all the same, and that nobody knows of, has used up a limit. */
static bool is_patient(const struct ch_acme_call *call)
{
	return call->req->patient || call->sending == CH_ACME_NEW_ORDER;
}

static enum ch_acme_fate exchange(struct ch_acme *acme, const struct ch_acme_session *session,
	struct ch_http *http, const struct ch_acme_request *req, struct ch_acme_answer *ans,
	bool *ret_stale)
{
	CH_CLEANUP(ch_acme_call_done) struct ch_acme_call call;
	struct ch_err err = {0};
	bool over = false;

	ch_acme_call_init(&call, session, req);
	while (!over) {
		CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;
		struct ch_http_req out;

		ch_http_resp_init(&resp);
		if (!may_send(acme, &call, ans))
			return ans->fate;
		if (ch_acme_call_next(&call, &out, &ans->err)) {
			ans->fate = CH_ACME_REFUSED;
			ans->err.actor = CH_ACTOR_PLATFORM;
			return ans->fate;
		}
		if (send_one(acme, http, is_patient(&call), &out, &resp, &err)) {
			if (ch_acme_call_take_error(&call, &err, ans))
				return ans->fate;
			ch_log_debug("acme %s: %s", ch_acme_kind_str(call.sending), err.detail);
			continue;
		}
		over = ch_acme_call_take(&call, &resp, ans);
		ch_log_debug("acme %s: status %d%s%s", ch_acme_kind_str(call.sending),
			resp.status, ans->fate ? " " : "", ans->fate ? ans->err.problem : "");
	}
	*ret_stale = is_stale_directory(&call, ans->fate);
	return ans->fate;
}

/* Threads that come together may all fetch it: rare, and harmless. */
static enum ch_acme_fate fetch_directory(
	struct ch_acme *acme, struct ch_http *http, struct ch_acme_answer *ans)
{
	struct ch_acme_request req = {.kind = CH_ACME_DIRECTORY};
	struct ch_acme_session session;
	bool stale;

	open_session(acme, &session);
	if (exchange(acme, &session, http, &req, ans, &stale) != CH_ACME_OK) {
		/* A directory that is not there says nothing about any order. */
		if (ans->fate == CH_ACME_GONE)
			ans->fate = CH_ACME_OUTAGE;
		return ans->fate;
	}
	pthread_mutex_lock(&acme->lock);
	acme->directory = ans->directory;
	acme->directory_until_ms = ch_mono_ms() + DIRECTORY_KEEP_MS;
	pthread_mutex_unlock(&acme->lock);
	ch_acme_answer_done(ans);
	ch_acme_answer_init(ans);
	return CH_ACME_OK;
}

static bool has_directory(struct ch_acme *acme)
{
	bool has;

	pthread_mutex_lock(&acme->lock);
	has = acme->directory_until_ms > ch_mono_ms();
	pthread_mutex_unlock(&acme->lock);
	return has;
}

enum ch_acme_fate ch_acme_run(struct ch_acme *acme, struct ch_http *http,
	const struct ch_acme_request *req, struct ch_acme_answer *ans)
{
	struct ch_acme_session session;
	bool stale = false;

	if (!has_directory(acme) && fetch_directory(acme, http, ans) != CH_ACME_OK)
		return ans->fate;
	open_session(acme, &session);
	pthread_mutex_lock(&acme->lock);
	session.directory = acme->directory;
	strcpy(session.kid, acme->kid);
	pthread_mutex_unlock(&acme->lock);
	exchange(acme, &session, http, req, ans, &stale);
	if (stale) {
		pthread_mutex_lock(&acme->lock);
		acme->directory_until_ms = 0;
		pthread_mutex_unlock(&acme->lock);
		ans->fate = CH_ACME_LATER;
	}
	return ans->fate;
}
