#include "net/http.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_impl.h"

#define CONNECT_TIMEOUT_MS 10000L
#define IMPATIENT_CONNECT_MS 1500L
#define IMPATIENT_SILENCE_MS 2000u
#define DEFAULT_TIMEOUT_MS 30000L
#define CANCEL_POLL_MS 100
#define HEADERS_TOTAL_MAX_B (64u * 1024u)
#define URL_TOLD_B 600 /* more than an error has */

struct curl_http {
	struct ch_http http;
	CURLM *multi; /* a multi handle for one transfer: lets us look at canceled() */
	CURL *easy;
	int (*canceled)(void *arg);
	void *canceled_arg;
	int allow_http;
	char message[CURL_ERROR_SIZE];
	char url[URL_TOLD_B]; /* of the request, as messages have it */
};

struct transfer {
	struct ch_http_resp *resp;
	const struct ch_http_req *req;
	size_t sent_b; /* of the body, when it may be sent only once */
	int resent;    /* libcurl began it a second time */
	int answered;  /* a byte of an answer came */
	size_t headers_b;
	int body_begun;
	int rc; /* why a callback stopped the transfer */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void init_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	t->body_begun = 1;
	t->rc = ch_buf_add(&t->resp->body, bytes, size * n);
	return t->rc ? 0 : size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	t->answered = 1;
	/* Trailers could contradict what was acted upon: they are dropped. */
	if (t->body_begun)
		return len;
	/* A new status line: what came before was an interim answer (100, 103). */
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		ch_http_resp_restart(t->resp, t->resp->body.max_b);
		t->headers_b = 0;
		return len;
	}
	t->headers_b += len;
	t->rc = t->headers_b > HEADERS_TOTAL_MAX_B ? CH_ETOOBIG
						   : ch_http_resp_add_line(t->resp, line, len);
	return t->rc ? 0 : len;
}

/* Gives a body that must not be sent twice: on_seek does not let libcurl rewind it for a
 * request that it would repeat.  Where it does not try to, because the bytes that it took never
 * left, it asks for more than there is. */
static size_t on_send(char *to, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t left = t->req->body_len - t->sent_b;
	size_t len = left < size * n ? left : size * n;

	if (left == 0) {
		t->resent = 1;
		return CURL_READFUNC_ABORT;
	}
	memcpy(to, (const char *)t->req->body + t->sent_b, len);
	t->sent_b += len;
	return len;
}

/* Only to where it is: libcurl 8 begins a transfer by catching up on the rewind that the one
 * before it on this handle has failed with. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	const struct transfer *t = arg;

	return origin == SEEK_SET && offset == (curl_off_t)t->sent_b ? CURL_SEEKFUNC_OK
								     : CURL_SEEKFUNC_FAIL;
}

static int is_token(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789!#$%&'*+-.^_`|~");

	return len > 0 && !text[len];
}

static int is_printable(const char *text, int allow_space)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f ||
			(*text == ' ' && !allow_space))
			return 0;
	return 1;
}

/* Messages leave out the query: it is long and says nothing to people.  Of a private URL they
 * have scheme, host and port. */
static void tell_url(struct curl_http *self, const struct ch_http_req *req)
{
	const char *host = strstr(req->url, "://");
	size_t scheme_len = host ? (size_t)(host - req->url) + strlen("://") : 0;
	const char *end;
	const char *at;

	if (!req->private_url) {
		snprintf(self->url, sizeof(self->url), "%.*s", (int)strcspn(req->url, "?"),
			req->url);
		return;
	}
	if (!host) {
		snprintf(self->url, sizeof(self->url), "the URL");
		return;
	}
	host += strlen("://");
	end = host + strcspn(host, "/?#\\");
	/* A user's name and password are not used, and not told either. */
	at = memrchr(host, '@', (size_t)(end - host));
	host = at ? at + 1 : host;
	snprintf(self->url, sizeof(self->url), "%.*s%.*s", (int)scheme_len, req->url,
		(int)(end - host), host);
}

/* Nothing that a caller passes on may become a second header line or a second request. */
static int check_req(
	const struct curl_http *self, const struct ch_http_req *req, struct ch_err *err)
{
	if (!is_token(req->method))
		return ch_err_set(err, CH_EINVAL, "http-method", "not an HTTP method");
	if (!is_printable(req->url, 0))
		return ch_err_set(err, CH_EINVAL, "http-url",
			"the URL has white space or control characters");
	if (strncasecmp(req->url, "https://", 8) != 0 &&
		!(self->allow_http && strncasecmp(req->url, "http://", 7) == 0))
		return ch_err_set(err, CH_EINVAL, "http-url", "%s: only https:// URLs are used",
			self->url);
	for (size_t i = 0; i < req->n_headers; i++)
		if (!is_token(req->headers[i].name) || !is_printable(req->headers[i].value, 1))
			return ch_err_set(err, CH_EINVAL, "http-header",
				"a request header has characters that are not allowed");
	return CH_OK;
}

static int append(struct curl_slist **list, const char *line)
{
	struct curl_slist *grown = curl_slist_append(*list, line);

	if (!grown)
		return CH_ENOMEM;
	*list = grown;
	return CH_OK;
}

static int make_headers(const struct ch_http_req *req, struct curl_slist **list)
{
	int has_type = 0;
	/* Without these curl adds its own. */
	int rc = append(list, "Expect:");

	for (size_t i = 0; i < req->n_headers && !rc; i++) {
		const struct ch_http_header *h = &req->headers[i];
		CH_AUTO_FREE char *line = NULL;

		has_type |= strcasecmp(h->name, "content-type") == 0;
		/* curl's notation for a header without a value is "Name;". */
		if (asprintf(&line, *h->value ? "%s: %s" : "%s;", h->name, h->value) < 0) {
			line = NULL;
			return CH_ENOMEM;
		}
		rc = append(list, line);
	}
	if (!rc && !has_type)
		rc = append(list, "Content-Type:");
	return rc;
}

/* setopt only fails for lack of memory here, and for options that this libcurl lacks. */
#define SET(easy, opt, value)                                                                  \
	do {                                                                                   \
		if (curl_easy_setopt(easy, opt, value) != CURLE_OK)                            \
			return CH_ENOMEM;                                                      \
	} while (0)

static int set_method(CURL *easy, const struct ch_http_req *req)
{
	int sends_body = req->body_len || strcmp(req->method, "POST") == 0 ||
			 strcmp(req->method, "PUT") == 0 || strcmp(req->method, "PATCH") == 0;

	SET(easy, CURLOPT_NOBODY, 0L);
	if (sends_body) {
		SET(easy, CURLOPT_POST, 1L);
		/* NULL: on_send is asked. */
		SET(easy, CURLOPT_POSTFIELDS,
			req->body_len == 0 ? ""
			: req->once	   ? NULL
					   : req->body);
		SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
	} else if (strcmp(req->method, "HEAD") == 0) {
		SET(easy, CURLOPT_NOBODY, 1L);
	} else {
		SET(easy, CURLOPT_HTTPGET, 1L);
	}
	SET(easy, CURLOPT_CUSTOMREQUEST, req->method);
	return CH_OK;
}

static int set_transfer(struct curl_http *self, const struct ch_http_req *req,
	struct transfer *t, struct curl_slist *headers)
{
	CURL *easy = self->easy;
	int rc = set_method(easy, req);

	if (rc)
		return rc;
	SET(easy, CURLOPT_URL, req->url);
	SET(easy, CURLOPT_HTTPHEADER, headers);
	SET(easy, CURLOPT_READDATA, t);
	SET(easy, CURLOPT_SEEKDATA, t);
	SET(easy, CURLOPT_WRITEDATA, t);
	SET(easy, CURLOPT_HEADERDATA, t);
	SET(easy, CURLOPT_TIMEOUT_MS,
		req->timeout_ms > 0 ? (long)req->timeout_ms : DEFAULT_TIMEOUT_MS);
	SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)req->max_answer_b);
	return CH_OK;
}

/* Runs the transfer; CH_ECANCELED, or CH_OK with curl's verdict. */
static int perform(struct curl_http *self, CURLcode *ret_code)
{
	for (;;) {
		int running = 0;
		int left;
		CURLMsg *msg;

		if (self->canceled && self->canceled(self->canceled_arg))
			return CH_ECANCELED;
		if (curl_multi_perform(self->multi, &running) != CURLM_OK)
			return CH_ENOMEM;
		while ((msg = curl_multi_info_read(self->multi, &left)) != NULL) {
			if (msg->msg == CURLMSG_DONE) {
				*ret_code = msg->data.result;
				return CH_OK;
			}
		}
		if (!running)
			return CH_EIO;
		if (curl_multi_poll(self->multi, NULL, 0,
			    self->canceled ? CANCEL_POLL_MS : 1000, NULL) != CURLM_OK)
			return CH_ENOMEM;
	}
}

static int map_code(const struct curl_http *self, const struct ch_http_req *req, CURLcode code,
	struct ch_err *err)
{
	const char *why = *self->message ? self->message : curl_easy_strerror(code);

	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ch_err_set(err, CH_ETIMEOUT, "http-timeout", "%s: %s", self->url, why);
	case CURLE_FILESIZE_EXCEEDED:
		return ch_err_set(err, CH_ETOOBIG, "http-too-big",
			"%s: the answer is over %zu bytes", self->url, req->max_answer_b);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return ch_err_set(err, CH_ENETWORK, "http-resolve",
			"%s: the host name cannot be resolved: %s", self->url, why);
	case CURLE_COULDNT_CONNECT:
		return ch_err_set(err, CH_ENETWORK, "http-connect", "%s: cannot connect: %s",
			self->url, why);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return ch_err_set(err, CH_EAUTH, "http-tls-server",
			"%s: the server's certificate is not accepted: %s", self->url, why);
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return ch_err_set(err, CH_EAUTH, "http-tls-files",
			"%s: a certificate or key file cannot be used: %s", self->url, why);
	case CURLE_SSL_CONNECT_ERROR:
		return ch_err_set(err, CH_ENETWORK, "http-tls",
			"%s: the TLS handshake failed: %s", self->url, why);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return ch_err_set(err, CH_ENETWORK, "http-broken",
			"%s: the connection broke: %s", self->url, why);
	case CURLE_OUT_OF_MEMORY:
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_LOGIN_DENIED:
		return ch_err_set(err, CH_EINVAL, "http-url", "%s: this URL cannot be used: %s",
			self->url, why);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return ch_err_set(err, CH_EPROTO, "http-protocol",
			"%s: the answer is not understood: %s", self->url, why);
	default:
		return ch_err_set(err, CH_ENETWORK, "http-failed", "%s: %s", self->url, why);
	}
}

/* What libcurl would have repeated, or would have if the whole request were one write: a
 * connection that had been used before, and that broke before an answer. */
static int was_stale(const struct curl_http *self, const struct transfer *t, CURLcode code)
{
	long connects = 1;

	if (t->resent || code == CURLE_SEND_FAIL_REWIND)
		return 1;
	curl_easy_getinfo(self->easy, CURLINFO_NUM_CONNECTS, &connects);
	return t->req->once && !t->answered && connects == 0 &&
	       (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
		       code == CURLE_GOT_NOTHING);
}

static int finish(struct curl_http *self, const struct ch_http_req *req,
	const struct transfer *t, CURLcode code, struct ch_err *err)
{
	long status = 0;

	if (t->rc == CH_ETOOBIG)
		return ch_err_set(err, CH_ETOOBIG, "http-too-big", "%s: the answer %s",
			self->url,
			t->body_begun ? "is too long" : "has headers that are too long");
	if (t->rc)
		return ch_err_set(err, t->rc, "out-of-memory", "out of memory");
	if (code != CURLE_OK && was_stale(self, t, code))
		return ch_err_set(err, CH_EAGAIN, "http-not-resent",
			"%s: the connection broke before an answer, and the request must not "
			"be sent twice",
			self->url);
	if (code != CURLE_OK)
		return map_code(self, req, code, err);
	curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
	t->resp->status = (int)status;
	return CH_OK;
}

static void free_slist(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static int curl_http_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct curl_http *self = (struct curl_http *)http;
	CH_CLEANUP(free_slist) struct curl_slist *headers = NULL;
	struct transfer t = {.resp = resp, .req = req};
	CURLcode code = CURLE_OK;
	int rc;

	tell_url(self, req);
	rc = check_req(self, req, err);
	if (rc)
		return rc;
	ch_http_resp_restart(resp, req->max_answer_b);
	self->message[0] = 0;
	rc = make_headers(req, &headers);
	if (!rc)
		rc = set_transfer(self, req, &t, headers);
	if (!rc && curl_multi_add_handle(self->multi, self->easy) != CURLM_OK)
		rc = CH_ENOMEM;
	if (rc)
		return ch_err_set(err, rc, "out-of-memory", "out of memory");
	rc = perform(self, &code);
	curl_multi_remove_handle(self->multi, self->easy);
	if (rc == CH_ECANCELED)
		return ch_err_set(err, rc, "canceled", "%s: canceled", self->url);
	if (rc)
		return ch_err_set(err, rc, "http-failed", "%s: libcurl failed", self->url);
	return finish(self, req, &t, code, err);
}

static void curl_http_free(struct ch_http *http)
{
	struct curl_http *self = (struct curl_http *)http;

	curl_easy_cleanup(self->easy);
	curl_multi_cleanup(self->multi);
	free(self);
}

static int set_tls(CURL *easy, const struct ch_http_options *options)
{
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (options->ca_file) {
		SET(easy, CURLOPT_CAINFO, options->ca_file);
		/* The distribution's folder of CAs would be trusted beside it.  NULL brings it
		 * back in newer versions: a path that can hold no certificate does not. */
		SET(easy, CURLOPT_CAPATH, "/dev/null");
	}
	if (options->cert_file) {
		SET(easy, CURLOPT_SSLCERT, options->cert_file);
		SET(easy, CURLOPT_SSLKEY, options->key_file);
	}
	return CH_OK;
}

/* Of what was sent and not confirmed, and of probes on a connection that waits. */
static int limit_silence(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned silence_ms = IMPATIENT_SILENCE_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
	return CURL_SOCKOPT_OK;
}

static int set_impatient(CURL *easy)
{
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, IMPATIENT_CONNECT_MS);
	SET(easy, CURLOPT_TCP_KEEPIDLE, 1L);
	SET(easy, CURLOPT_TCP_KEEPINTVL, 1L);
	SET(easy, CURLOPT_SOCKOPTFUNCTION, limit_silence);
	return CH_OK;
}

static int set_fixed(struct curl_http *self, const struct ch_http_options *options)
{
	CURL *easy = self->easy;

	SET(easy, CURLOPT_ERRORBUFFER, self->message);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_PROTOCOLS_STR, options->allow_http ? "http,https" : "https");
	SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	/* "/../" is the server's to judge, not to be folded away here. */
	SET(easy, CURLOPT_PATH_AS_IS, 1L);
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	/* One request at a time: HTTP/2 would only cost both sides more (a sixth, measured). */
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_READFUNCTION, on_send);
	SET(easy, CURLOPT_SEEKFUNCTION, on_seek);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	if (!options->allow_proxy)
		SET(easy, CURLOPT_PROXY, "");
	if (options->user_agent)
		SET(easy, CURLOPT_USERAGENT, options->user_agent);
	if (options->impatient && set_impatient(easy))
		return CH_ENOMEM;
	return set_tls(easy, options);
}

static void curl_http_free_p(struct curl_http **self)
{
	if (*self)
		curl_http_free(&(*self)->http);
}

int ch_http_new_curl(
	const struct ch_http_options *options, struct ch_http **ret_http, struct ch_err *err)
{
	CH_CLEANUP(curl_http_free_p) struct curl_http *self = calloc(1, sizeof(*self));

	pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK || !self)
		return ch_err_set(err, CH_ENOMEM, "http-init", "libcurl cannot be started");
	self->http.send = curl_http_send;
	self->http.free = curl_http_free;
	self->canceled = options->canceled;
	self->canceled_arg = options->canceled_arg;
	self->allow_http = options->allow_http;
	self->multi = curl_multi_init();
	self->easy = curl_easy_init();
	if (!self->multi || !self->easy || set_fixed(self, options))
		return ch_err_set(err, CH_ENOMEM, "http-init",
			"this libcurl lacks an option that is needed, or memory is out");
	*ret_http = &TAKE_PTR(self)->http;
	return CH_OK;
}
