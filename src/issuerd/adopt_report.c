#include "issuerd/adopt_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PLAIN_EVERY_MS 5000
#define TTY_EVERY_MS 200

static const char *const fates[] = {"adopted", "kept", "unused", "refused"};

static void count(struct ch_adopt_report *r, enum ch_adopt_fate fate, const char *code)
{
	size_t i = 0;

	while (i < r->n_reasons &&
		(r->reasons[i].fate != fate || strcmp(r->reasons[i].code, code) != 0))
		i++;
	if (i == r->n_reasons) {
		/* The last line takes what has no place of its own. */
		if (r->n_reasons == CH_ADOPT_REASONS_MAX)
			i--;
		else
			r->n_reasons++;
		r->reasons[i].fate = fate;
		snprintf(r->reasons[i].code, sizeof(r->reasons[i].code), "%s", code);
	}
	r->reasons[i].n++;
}

/* Paths and names are of others: nothing of them may steer a terminal. */
static void print_clean(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e ? '?' : *text,
			out);
}

static void print_json(
	enum ch_adopt_fate fate, const char *subject, const char *code, const char *detail)
{
	json_t *path = json_string(subject);
	json_t *text = json_string(detail ? detail : "");
	json_t *line = json_pack("{s:s, s:o, s:s, s:o}", "result", fates[fate], "subject",
		path ? path : json_string("?"), "code", code, "detail",
		text ? text : json_string("?"));
	char *dump = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (dump)
		puts(dump);
	free(dump);
	json_decref(line);
}

void ch_adopt_report_note(struct ch_adopt_report *r, enum ch_adopt_fate fate,
	const char *subject, const char *code, const char *detail)
{
	count(r, fate, code);
	if (fate != CH_FATE_REFUSED && !r->verbose)
		return;
	ch_adopt_report_clear(r);
	if (r->json) {
		print_json(fate, subject, code, detail);
		return;
	}
	printf("%s\t", fates[fate]);
	print_clean(stdout, subject);
	printf("\t%s\t", code);
	print_clean(stdout, detail ? detail : "");
	putchar('\n');
}

uint64_t ch_adopt_report_count(const struct ch_adopt_report *r, enum ch_adopt_fate fate)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n_reasons; i++)
		n += r->reasons[i].fate == fate ? r->reasons[i].n : 0;
	return n;
}

void ch_adopt_report_begin(struct ch_adopt_report *r, const char *doing, uint64_t total)
{
	ch_adopt_report_clear(r);
	r->doing = doing;
	r->done = 0;
	r->total = total;
	r->began_ms = r->shown_ms = ch_mono_ms();
	r->tty = isatty(STDERR_FILENO);
}

void ch_adopt_report_text(
	const struct ch_adopt_report *r, int64_t now_ms, char *ret_text, size_t text_b)
{
	int64_t spent_ms = now_ms - r->began_ms;
	char left[CH_TIME_STR_B];
	int len = snprintf(ret_text, text_b, "%" PRIu64 " %s", r->done, r->doing);

	if (r->total && r->done <= r->total)
		len += snprintf(ret_text + len, text_b - (size_t)len, " (%" PRIu64 " %%)",
			r->done * 100 / r->total);
	if (spent_ms <= 0)
		return;
	len += snprintf(ret_text + len, text_b - (size_t)len, ", %" PRIu64 " a second",
		r->done * 1000 / (uint64_t)spent_ms);
	if (r->done && r->done < r->total)
		snprintf(ret_text + len, text_b - (size_t)len, ", %s left",
			ch_duration_str(
				(int64_t)((double)spent_ms * (double)(r->total - r->done) /
					  (double)r->done),
				left));
}

void ch_adopt_report_step(struct ch_adopt_report *r, uint64_t n)
{
	int64_t now_ms = ch_mono_ms();
	char text[160];

	r->done += n;
	if (now_ms - r->shown_ms < (r->tty ? TTY_EVERY_MS : PLAIN_EVERY_MS))
		return;
	r->shown_ms = now_ms;
	ch_adopt_report_text(r, now_ms, text, sizeof(text));
	fprintf(stderr, r->tty ? "\r%s\033[K" : "%s\n", text);
	fflush(stderr);
	r->on_screen = r->tty;
}

void ch_adopt_report_clear(struct ch_adopt_report *r)
{
	if (!r->on_screen)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	r->on_screen = false;
}

static void print_object(const struct ch_adopt_report *r, bool complete)
{
	json_t *list = json_array();
	json_t *sum;
	char *dump;

	for (size_t i = 0; i < r->n_reasons; i++)
		(void)json_array_append_new(list,
			json_pack("{s:s, s:s, s:I}", "result", fates[r->reasons[i].fate],
				"code", r->reasons[i].code, "n", (json_int_t)r->reasons[i].n));
	sum = json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "adopted",
		(json_int_t)ch_adopt_report_count(r, CH_FATE_ADOPTED), "kept",
		(json_int_t)ch_adopt_report_count(r, CH_FATE_KEPT), "unused",
		(json_int_t)ch_adopt_report_count(r, CH_FATE_UNUSED), "refused",
		(json_int_t)ch_adopt_report_count(r, CH_FATE_REFUSED), "dry_run", r->dry_run,
		"complete", complete, "reasons", list);
	dump = sum ? json_dumps(sum, JSON_COMPACT) : NULL;
	if (dump)
		puts(dump);
	free(dump);
	json_decref(sum);
}

void ch_adopt_report_print(struct ch_adopt_report *r, bool complete)
{
	ch_adopt_report_clear(r);
	if (r->json) {
		print_object(r, complete);
		return;
	}
	printf("%-10s %-22s %10s\n", "RESULT", "REASON", "NUMBER");
	for (int fate = CH_FATE_ADOPTED; fate <= CH_FATE_REFUSED; fate++)
		for (size_t i = 0; i < r->n_reasons; i++)
			if ((int)r->reasons[i].fate == fate)
				printf("%-10s %-22s %10" PRIu64 "\n",
					fate == CH_FATE_ADOPTED && r->dry_run ? "would be"
									      : fates[fate],
					r->reasons[i].code, r->reasons[i].n);
	if (!r->n_reasons)
		printf("nothing was found\n");
	if (!complete)
		printf("It stopped before the end. Running it again does no harm: what is done "
		       "is kept.\n");
}
