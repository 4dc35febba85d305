/* What becomes of what was found, and how far the work is. */
#ifndef CH_ISSUERD_ADOPT_REPORT_H
#define CH_ISSUERD_ADOPT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_ADOPT_REASONS_MAX 64

enum ch_adopt_fate {
	CH_FATE_ADOPTED,
	CH_FATE_KEPT,
	CH_FATE_UNUSED, /* another certificate of the same name is better, or it is not wanted
			 */
	CH_FATE_REFUSED,
};

struct ch_adopt_report {
	bool json;
	bool verbose; /* also what is kept or not used, one by one */
	bool dry_run;
	struct {
		enum ch_adopt_fate fate;
		char code[64];
		uint64_t n;
	} reasons[CH_ADOPT_REASONS_MAX];
	size_t n_reasons;
	/* Of the progress: */
	const char *doing;
	uint64_t done;
	uint64_t total; /* 0: not known */
	int64_t began_ms;
	int64_t shown_ms;
	bool tty;
	bool on_screen;
};

/* subject: a name, or a path.  detail may be NULL. */
void ch_adopt_report_note(struct ch_adopt_report *report, enum ch_adopt_fate fate,
	const char *subject, const char *code, const char *detail);
uint64_t ch_adopt_report_count(const struct ch_adopt_report *report, enum ch_adopt_fate fate);

void ch_adopt_report_begin(struct ch_adopt_report *report, const char *doing, uint64_t total);
/* Shown on stderr now and then. */
void ch_adopt_report_step(struct ch_adopt_report *report, uint64_t n);
void ch_adopt_report_clear(struct ch_adopt_report *report);
/* "12000 names (40 %), 1500 a second, 12s left"; text_b at least 128. */
void ch_adopt_report_text(
	const struct ch_adopt_report *report, int64_t now_ms, char *ret_text, size_t text_b);
/* The table, or the object, at the end. */
void ch_adopt_report_print(struct ch_adopt_report *report, bool complete);

#endif
