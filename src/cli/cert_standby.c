/* `certherd cert standby`: the standby certificate of a name, or of all that a CA has failed,
 * is put live. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cert_verbs.h"
#include "cli/client.h"
#include "cli/text.h"

#define BATCH 500

struct standby {
	struct ch_client client;
	bool all;
	const char *ca;
	bool swap;
	bool dry_run;
	bool partly;
	uint64_t begun;
	uint64_t not_ready;
	uint64_t half_ready; /* of these */
	uint64_t passed_over;
};

static int usage(const struct standby *s, const char *text)
{
	struct ch_err err;

	(void)ch_err_set(&err, CH_EINVAL, "usage", "%s", text);
	return ch_client_fail(&s->client, NULL, &err);
}

/* The next names; *after is those that come then, NULL after the last. */
static int ask(struct standby *s, json_t **after, struct ch_err *err)
{
	/* A store of before is not asked for what it does not know. */
	CH_AUTO_JSON json_t *body =
		json_pack("{s:s, s:i, s:b, s:o*, s:o*}", "ca", s->ca, "max", BATCH, "dry_run",
			s->dry_run, "after", *after, "partly", s->partly ? json_true() : NULL);
	CH_AUTO_JSON json_t *answer = NULL;
	int rc;

	*after = NULL;
	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_client_call(&s->client, "POST", "/v1/standby", body, &answer, err);
	if (rc)
		return rc;
	s->begun += (uint64_t)ch_json_int(answer, "begun");
	s->not_ready += (uint64_t)ch_json_int(answer, "not_ready");
	s->half_ready += (uint64_t)ch_json_int(answer, "half_ready");
	s->passed_over += (uint64_t)ch_json_int(answer, "passed_over");
	if (json_is_string(json_object_get(answer, "after")))
		*after = json_incref(json_object_get(answer, "after"));
	return CH_OK;
}

static void print_counts(const struct standby *s)
{
	if (s->client.json) {
		printf("{\"begun\":%" PRIu64 ",\"not_ready\":%" PRIu64
		       ",\"half_ready\":%" PRIu64 ",\"passed_over\":%" PRIu64 "}\n",
			s->begun, s->not_ready, s->half_ready, s->passed_over);
		return;
	}
	printf("%" PRIu64 " name%s %s put live with the standby certificate.\n", s->begun,
		s->begun == 1 ? "" : "s",
		s->dry_run	? "would be"
		: s->begun == 1 ? "is being"
				: "are being");
	if (s->not_ready)
		printf("%" PRIu64 " %s no standby that is ready, and %s.\n", s->not_ready,
			s->not_ready == 1 ? "has" : "have",
			s->not_ready == 1 ? "stays as it is" : "stay as they are");
	if (s->half_ready)
		printf("Of these %" PRIu64 " %s two certificates, one of them with a standby "
		       "that is ready: --partly puts\nthat one live, and running it again "
		       "later the other.\n",
			s->half_ready, s->half_ready == 1 ? "has" : "have");
	if (s->passed_over)
		printf("%" PRIu64 " %s passed over: paused, or with a roll-back under way.\n",
			s->passed_over, s->passed_over == 1 ? "is" : "are");
}

static int put_all(struct standby *s)
{
	bool tty = isatty(STDERR_FILENO) && !s->client.json;
	json_t *after = NULL;
	struct ch_err err;
	int rc;

	do {
		rc = ask(s, &after, &err);
		if (rc == CH_OK && tty)
			fprintf(stderr, "\r%" PRIu64 " names\033[K", s->begun);
	} while (rc == CH_OK && after);
	if (tty)
		fputs("\r\033[K", stderr);
	if (rc) {
		int code = ch_client_fail(&s->client, NULL, &err);

		if (s->begun)
			fprintf(stderr,
				"%" PRIu64
				" names were begun with; running it again goes on with the "
				"rest.\n",
				s->begun);
		return code;
	}
	print_counts(s);
	return s->not_ready ? CH_EXIT_PARTLY : CH_EXIT_OK;
}

/* The CA of a certificate, as --ca takes it. */
static const char *ca_of(const json_t *cert)
{
	const char *ca = ch_json_str(cert, "ca");

	if (!json_is_object(cert))
		return "none";
	return *ca ? ca : "unknown";
}

/* For who does not say which CA has failed: nothing is done, since what is live may be the one
 * to keep, perhaps by this very command. */
static int look(struct standby *s, const char *name)
{
	CH_AUTO_JSON json_t *domain = NULL;
	const json_t *second;
	const char *live;
	struct ch_err err;

	if (ch_client_call_name(
		    &s->client, "GET", "/v1/domains/", name, "", NULL, &domain, NULL, &err))
		return ch_client_fail(&s->client, name, &err);
	live = ca_of(json_object_get(domain, "certificate"));
	second = json_object_get(json_object_get(domain, "second"), "certificate");
	(void)ch_err_set(&err, CH_EINVAL, "ca-needed",
		"say which CA has failed, --ca CA (live: %s%s%s, standby: %s)%s", live,
		second ? ", second: " : "", second ? ca_of(second) : "",
		ca_of(json_object_get(json_object_get(domain, "standby"), "certificate")),
		strcmp(live, "unknown") == 0 ? "; --swap puts the standby live all the same"
					     : "");
	return ch_client_fail(&s->client, name, &err);
}

static bool is_from(const json_t *cert, const char *ca)
{
	return json_is_object(cert) && strcmp(ca_of(cert), ca) == 0;
}

/* What is live says so: the store has begun nothing where nothing of it is from that CA. */
static bool was_put_live(const json_t *domain, const char *ca)
{
	const json_t *first = json_object_get(domain, "certificate");
	const json_t *second =
		json_object_get(json_object_get(domain, "second"), "certificate");

	return ca && !is_from(first, ca) && !is_from(second, ca) &&
	       (ch_json_int(first, "rolled_back_to") || ch_json_int(second, "rolled_back_to"));
}

static int put_one(struct standby *s, const char *name)
{
	CH_AUTO_JSON json_t *body = json_pack(
		"{s:s*, s:o*}", "ca", s->ca, "partly", s->partly ? json_true() : NULL);
	CH_AUTO_JSON json_t *answer = NULL;
	struct ch_err err;

	if (ch_client_call_name(&s->client, "POST", "/v1/certificates/", name, "/standby", body,
		    &answer, NULL, &err))
		return ch_client_fail(&s->client, name, &err);
	if (s->client.json) {
		ch_json_print(answer);
		return CH_EXIT_OK;
	}
	ch_text_print(stdout, ch_json_str(answer, "name"));
	if (was_put_live(answer, s->ca))
		printf(": already so: nothing of it is from the CA %s, and what is live was "
		       "put "
		       "there by a command\n",
			s->ca);
	else
		puts(": the standby certificate is being put live; `certherd domain show` says "
		     "when edges have it");
	return CH_EXIT_OK;
}

int ch_cert_standby_main(int argc, char **argv)
{
	struct standby s = {.all = false};
	const struct ch_opt list[] = {
		{"all", NULL, "all names whose live certificate is from the CA in --ca", &s.all,
			NULL},
		{"ca", "CA", "the CA that has failed, as the issuer calls it", NULL, &s.ca},
		{"swap", NULL, "instead of --ca, where nobody knows of which CA it is", &s.swap,
			NULL},
		{"partly", NULL, "of two certificates also one, if only that is ready",
			&s.partly, NULL},
		{"dry-run", NULL, "with --all: say what would be done", &s.dry_run, NULL},
		CH_OPT_JSON(&s.client), CH_OPT_CONFIG(&s.client.config)};
	const struct ch_opts opts = {.command = "cert standby",
		.usage = "NAME --ca CA|--swap [--partly] [--json]\n"
			 "       certherd cert standby --all --ca CA [--partly] [--dry-run] "
			 "[--json]",
		.help = "Puts the standby certificate of a name live, without asking a CA: its "
			"record is\nsigned again by the issuer. With --all: of every name that "
			"has a live certificate from\na CA that has failed. Of two "
			"certificates both go, together, or neither unless --partly.\n"
			"Only what is live from --ca is replaced, so repeating it does no "
			"harm, and goes on where\nit was stopped. A NAME without --ca: says "
			"of which CA what is live and the standby are.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_max = 1};
	size_t n_args;
	int code = ch_client_begin(&s.client, &opts, argc, argv, &n_args);

	if (code < 0 && (s.all == (n_args == 1) || (s.all && !s.ca)))
		code = usage(&s, "say NAME, or --all and --ca with the CA that has failed");
	else if (code < 0 && s.dry_run && !s.all)
		code = usage(&s, "--dry-run goes with --all");
	else if (code < 0 && s.swap && (s.all || s.ca))
		code = usage(&s, "--swap goes with NAME alone, instead of --ca");
	else if (code < 0 && s.all)
		code = put_all(&s);
	else if (code < 0)
		code = s.ca || s.swap ? put_one(&s, argv[1]) : look(&s, argv[1]);
	ch_client_done(&s.client);
	return code;
}
