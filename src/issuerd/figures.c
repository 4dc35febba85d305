#include "issuerd/figures.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/issuer.h"
#include "issuerd/write.h"
#include "net/metrics.h"

#define NAME(x) "certherd_issuer_" x

void ch_figures_answer(struct ch_ca_figures *figures, enum ch_acme_fate fate, int64_t spent_ms)
{
	atomic_fetch_add_explicit(&figures->answers[fate], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&figures->spent_ms, (uint64_t)(spent_ms > 0 ? spent_ms : 0),
		memory_order_relaxed);
	if (fate != CH_ACME_OUTAGE)
		atomic_store_explicit(&figures->answered_ms, ch_now_ms(), memory_order_relaxed);
}

static enum ch_figure_end end_of(const struct ch_write *w, size_t n_names)
{
	enum ch_figure_end end = CH_END_LET_GO;

	if (w->state == CH_ORDER_DONE)
		return CH_END_DONE;
	for (size_t i = 0; i < n_names; i++) {
		if (!w->verdicts[i].failed)
			continue;
		if (!w->verdicts[i].check)
			return CH_END_FAILED;
		end = CH_END_PREFLIGHT;
	}
	return end;
}

void ch_figures_written(struct ch_figures *figures, const struct ch_write *w, size_t n_names)
{
	if (w->publish) {
		atomic_fetch_add_explicit(&figures->published, 1, memory_order_relaxed);
		atomic_store_explicit(
			&figures->published_ms, ch_now_ms(), memory_order_relaxed);
	} else if (w->has_state && w->state >= CH_ORDER_DONE) {
		atomic_fetch_add_explicit(
			&figures->ends[end_of(w, n_names)], 1, memory_order_relaxed);
	}
}

void ch_figures_dead(struct ch_figures *figures, size_t n)
{
	atomic_fetch_add_explicit(&figures->ends[CH_END_PREFLIGHT], n, memory_order_relaxed);
}

void ch_figures_leased(struct ch_figures *figures, size_t n)
{
	atomic_fetch_add_explicit(&figures->leased, n, memory_order_relaxed);
	atomic_store_explicit(&figures->leased_ms, ch_now_ms(), memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* CAs are named as in the configuration, whose names need no escape. */
static const char *name_of(const struct ch_ca *ca)
{
	return ca->config->name[0] ? ca->config->name : "issuer";
}

static void add_answers(struct ch_buf *out, struct ch_issuer *issuer)
{
#define X(fate, word) [fate] = word,
	static const char *const words[] = {CH_ACME_FATE_LIST(X)};
#undef X
	static const char metric[] = NAME("ca_answers_total");

	ch_metrics_head(out, metric, "counter",
		"Requests to a CA, by what became of them; renewal information left out.");
	for (size_t i = 0; i < issuer->n_cas; i++)
		for (size_t fate = 0; fate < CH_ACME_FATE_COUNT; fate++)
			if (fate != CH_ACME_SIGN_AGAIN)
				ch_buf_addf(out, "%s{ca=\"%s\",result=\"%s\"} %" PRIu64 "\n",
					metric, name_of(&issuer->cas[i]), words[fate],
					get(&issuer->figures.cas[i].answers[fate]));
	ch_metrics_head(out, NAME("ca_seconds_total"), "counter",
		"How long these took, waits for turns under rate limits included.");
	for (size_t i = 0; i < issuer->n_cas; i++) {
		uint64_t ms = get(&issuer->figures.cas[i].spent_ms);

		ch_buf_addf(out, NAME("ca_seconds_total") "{ca=\"%s\"} %" PRIu64 ".%03u\n",
			name_of(&issuer->cas[i]), ms / 1000, (unsigned)(ms % 1000));
	}
}

static void add_cas(struct ch_buf *out, struct ch_issuer *issuer)
{
	ch_metrics_head(out, NAME("ca_out_of_order"), "gauge",
		"1 while a CA is left alone since it does not answer.");
	for (size_t i = 0; i < issuer->n_cas; i++)
		ch_buf_addf(out, NAME("ca_out_of_order") "{ca=\"%s\"} %d\n",
			name_of(&issuer->cas[i]), ch_gate_is_closed(&issuer->cas[i].gate));
	ch_metrics_head(out, NAME("ca_answered_timestamp_seconds"), "gauge",
		"When a CA answered last, whatever; no sample before the first time.");
	for (size_t i = 0; i < issuer->n_cas; i++) {
		int64_t at_ms = atomic_load_explicit(
			&issuer->figures.cas[i].answered_ms, memory_order_relaxed);

		if (at_ms > 0)
			ch_buf_addf(out,
				NAME("ca_answered_timestamp_seconds") "{ca=\"%s\"} %" PRId64
								      ".%03d\n",
				name_of(&issuer->cas[i]), at_ms / 1000, (int)(at_ms % 1000));
	}
	ch_metrics_head(out, NAME("renewal_info_total"), "counter",
		"Certificates about which a CA was asked when to renew them.");
	for (size_t i = 0; i < issuer->n_cas; i++)
		ch_buf_addf(out, NAME("renewal_info_total") "{ca=\"%s\"} %" PRIu64 "\n",
			name_of(&issuer->cas[i]), get(&issuer->figures.cas[i].asked));
}

void ch_figures_write(void *arg, struct ch_buf *out)
{
	static const char *const ends[] = {[CH_END_DONE] = "done",
		[CH_END_FAILED] = "failed",
		[CH_END_PREFLIGHT] = "preflight",
		[CH_END_LET_GO] = "let-go"};
	struct ch_issuer *issuer = arg;
	struct ch_figures *figures = &issuer->figures;

	ch_metrics_value(out, NAME("orders_leased_total"), "counter",
		"Orders that were taken from the store, some of them again and again.",
		get(&figures->leased));
	ch_metrics_value(out, NAME("published_total"), "counter",
		"Certificates that were published, of which the edges got a new record.",
		get(&figures->published));
	ch_metrics_head(out, NAME("orders_ended_total"), "counter",
		"Orders that ended; preflight: the CA was not asked; let-go: nobody is at "
		"fault, a "
		"new one is made.");
	for (size_t i = 0; i < CH_END_COUNT; i++)
		ch_buf_addf(out, NAME("orders_ended_total") "{result=\"%s\"} %" PRIu64 "\n",
			ends[i], get(&figures->ends[i]));
	add_answers(out, issuer);
	add_cas(out, issuer);
	ch_metrics_moment(out, NAME("published_timestamp_seconds"),
		"When a certificate was published last.",
		atomic_load_explicit(&figures->published_ms, memory_order_relaxed));
	ch_metrics_moment(out, NAME("store_answered_timestamp_seconds"),
		"When the store answered a request for orders last.",
		atomic_load_explicit(&figures->leased_ms, memory_order_relaxed));
	ch_metrics_value(out, NAME("probes_running"), "gauge",
		"Looks at published certificates through public addresses that are under way.",
		(uint64_t)atomic_load(&issuer->probing));
	ch_metrics_head(out, NAME("info"), "gauge", "Always 1.");
	ch_buf_add_str(out, NAME("info") "{version=\"" CH_VERSION "\"} 1\n");
}
