#include "net/reach.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

#define AT_ONCE 256
#define CONNECT_MS 3000L
#define WHOLE_MS 5000L
#define REDIRECTS_MAX 3
#define HEADERS_MAX_B (16u * 1024u)
#define POLL_MS 1000

struct fetch {
	struct fetch *next;
	ch_reach_done *done;
	void *arg;
	CURL *easy;
	struct curl_slist *connect_to;
	unsigned redirects;
	size_t headers_b;
	size_t body_len;
	uint16_t port;
	char name[254];
	char address[46];
	char url[1024];
	struct ch_reach_answer answer;
};

struct ch_reach {
	pthread_t thread;
	pthread_mutex_t lock;
	struct fetch *first; /* waiting, in their order */
	struct fetch **last;
	size_t n_waiting;
	bool stopping;
	CURLM *multi;
	/* Of the thread alone: */
	struct fetch *open[AT_ONCE];
	size_t n_open;
};

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t room = sizeof(f->answer.body) - 1 - f->body_len;
	size_t len = size * n < room ? size * n : room;

	memcpy(f->answer.body + f->body_len, bytes, len);
	f->body_len += len;
	f->answer.body[f->body_len] = 0;
	/* Enough: ends the transfer, see finish. */
	return f->body_len < sizeof(f->answer.body) - 1 ? size * n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	f->headers_b += size * n;
	return f->headers_b > HEADERS_MAX_B ? 0 : size * n;
}

#define SET(easy, opt, value)                                                                  \
	do {                                                                                   \
		if (curl_easy_setopt(easy, opt, value) != CURLE_OK)                            \
			return CH_ENOMEM;                                                      \
	} while (0)

static int set_up(struct fetch *f)
{
	char to[80];
	CURL *easy = f->easy;

	curl_easy_reset(easy);
	curl_slist_free_all(f->connect_to);
	/* Every host and port of this transfer is that address; curl resolves nothing. */
	snprintf(to, sizeof(to), strchr(f->address, ':') ? "::[%s]:" : "::%s:", f->address);
	f->connect_to = curl_slist_append(NULL, to);
	if (!f->connect_to)
		return CH_ENOMEM;
	f->headers_b = f->body_len = 0;
	f->answer.body[0] = 0;
	SET(easy, CURLOPT_CONNECT_TO, f->connect_to);
	SET(easy, CURLOPT_URL, f->url);
	SET(easy, CURLOPT_PRIVATE, f);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* Answers are told apart by what they say: whoever shows a certificate is no matter. */
	SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	SET(easy, CURLOPT_FORBID_REUSE, 1L);
	SET(easy, CURLOPT_FRESH_CONNECT, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(easy, CURLOPT_TIMEOUT_MS, WHOLE_MS);
	SET(easy, CURLOPT_USERAGENT, "certherd/" CH_VERSION);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, f);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(easy, CURLOPT_HEADERDATA, f);
	return CH_OK;
}

static void end(struct fetch *f)
{
	f->done(&f->answer, f->arg);
	curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->connect_to);
	free(f);
}

static void end_with(struct fetch *f, int rc, const char *why)
{
	f->answer.rc = rc;
	snprintf(f->answer.why, sizeof(f->answer.why), "%s", why);
	end(f);
}

static void begin(struct ch_reach *reach, struct fetch *f)
{
	if (!f->easy)
		f->easy = curl_easy_init();
	if (!f->easy || set_up(f) || curl_multi_add_handle(reach->multi, f->easy) != CURLM_OK)
		end_with(f, CH_ENOMEM, "out of memory");
	else
		reach->open[reach->n_open++] = f;
}

static void close_open(struct ch_reach *reach, struct fetch *f)
{
	size_t i = 0;

	curl_multi_remove_handle(reach->multi, f->easy);
	while (reach->open[i] != f)
		i++;
	reach->open[i] = reach->open[--reach->n_open];
}

/* Where a redirect leads: to the same name on a port that a CA would go to, or elsewhere. */
static bool follows(struct fetch *f)
{
	CURLU *url = curl_url();
	char *where = NULL;
	char *host = NULL;
	char *port = NULL;
	char *scheme = NULL;
	bool same = false;

	curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &where);
	if (url && where && strlen(where) < sizeof(f->url) &&
		curl_url_set(url, CURLUPART_URL, where, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
		unsigned long number = strtoul(port, NULL, 10);

		same = strcasecmp(host, f->name) == 0 &&
		       (number == 80 || number == 443 || number == f->port) &&
		       strncmp(scheme, "http", 4) == 0 && f->redirects < REDIRECTS_MAX;
		if (same)
			strcpy(f->url, where);
		else
			snprintf(f->answer.elsewhere, sizeof(f->answer.elsewhere), "%s", host);
	}
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	curl_url_cleanup(url);
	return same;
}

static void finish(struct ch_reach *reach, struct fetch *f, CURLcode code)
{
	long status = 0;

	close_open(reach, f);
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	f->answer.status = (int)status;
	/* Cut off by us, with all that is wanted. */
	if (code == CURLE_WRITE_ERROR && f->body_len == sizeof(f->answer.body) - 1)
		code = CURLE_OK;
	if (code == CURLE_OK && status >= 300 && status < 400 && follows(f)) {
		f->redirects++;
		begin(reach, f);
		return;
	}
	if (code == CURLE_OK)
		end_with(f, CH_OK, "");
	else if (code == CURLE_OPERATION_TIMEDOUT)
		end_with(f, CH_ETIMEOUT, "no answer in time");
	else if (code == CURLE_COULDNT_CONNECT)
		end_with(f, CH_ENETWORK, "nobody accepts the connection");
	else
		end_with(f, status ? CH_OK : CH_EPROTO, curl_easy_strerror(code));
}

static void take_waiting(struct ch_reach *reach, bool *ret_stopping)
{
	pthread_mutex_lock(&reach->lock);
	while (reach->first && reach->n_open < AT_ONCE && !reach->stopping) {
		struct fetch *f = reach->first;

		reach->first = f->next;
		if (!reach->first)
			reach->last = &reach->first;
		reach->n_waiting--;
		/* What cannot begin calls back at once. */
		pthread_mutex_unlock(&reach->lock);
		begin(reach, f);
		pthread_mutex_lock(&reach->lock);
	}
	*ret_stopping = reach->stopping;
	pthread_mutex_unlock(&reach->lock);
}

static void cancel_all(struct ch_reach *reach)
{
	while (reach->n_open) {
		struct fetch *f = reach->open[0];

		close_open(reach, f);
		end_with(f, CH_ECANCELED, "stopping");
	}
	while (reach->first) {
		struct fetch *f = reach->first;

		reach->first = f->next;
		end_with(f, CH_ECANCELED, "stopping");
	}
}

static void *run(void *arg)
{
	struct ch_reach *reach = arg;
	bool stopping = false;

	for (;;) {
		int running;
		int left;
		CURLMsg *msg;

		take_waiting(reach, &stopping);
		if (stopping)
			break;
		curl_multi_perform(reach->multi, &running);
		while ((msg = curl_multi_info_read(reach->multi, &left)) != NULL) {
			CURLcode code = msg->data.result;
			struct fetch *f = NULL;

			if (msg->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &f);
			finish(reach, f, code);
		}
		curl_multi_poll(reach->multi, NULL, 0, POLL_MS, NULL);
	}
	cancel_all(reach);
	return NULL;
}

int ch_reach_new(struct ch_reach **ret_reach, struct ch_err *err)
{
	struct ch_reach *reach = calloc(1, sizeof(*reach));

	if (!reach || !(reach->multi = curl_multi_init())) {
		free(reach);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	pthread_mutex_init(&reach->lock, NULL);
	reach->last = &reach->first;
	/* No connection is used a second time. */
	curl_multi_setopt(reach->multi, CURLMOPT_MAXCONNECTS, 1L);
	if (pthread_create(&reach->thread, NULL, run, reach) != 0) {
		curl_multi_cleanup(reach->multi);
		pthread_mutex_destroy(&reach->lock);
		free(reach);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "no thread can be started");
	}
	*ret_reach = reach;
	return CH_OK;
}

void ch_reach_free(struct ch_reach *reach)
{
	if (!reach)
		return;
	pthread_mutex_lock(&reach->lock);
	reach->stopping = true;
	pthread_mutex_unlock(&reach->lock);
	curl_multi_wakeup(reach->multi);
	pthread_join(reach->thread, NULL);
	curl_multi_cleanup(reach->multi);
	pthread_mutex_destroy(&reach->lock);
	free(reach);
}

int ch_reach_ask(struct ch_reach *reach, const char *name, const char *address, uint16_t port,
	const char *path, ch_reach_done *done, void *arg)
{
	struct fetch *f = calloc(1, sizeof(*f));
	int rc = CH_OK;

	if (!f)
		return CH_ENOMEM;
	*f = (struct fetch){.done = done, .arg = arg, .port = port};
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->address, sizeof(f->address), "%s", address);
	snprintf(f->url, sizeof(f->url), "http://%s:%u%s", name, port, path);
	pthread_mutex_lock(&reach->lock);
	if (reach->n_waiting == CH_REACH_WAITING_MAX || reach->stopping)
		rc = CH_EAGAIN;
	else {
		reach->n_waiting++;
		*reach->last = f;
		reach->last = &f->next;
	}
	pthread_mutex_unlock(&reach->lock);
	if (rc)
		free(f);
	else
		curl_multi_wakeup(reach->multi);
	return rc;
}
