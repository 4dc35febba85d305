#include "agentd/figures.h"

#include <inttypes.h>

#include "net/metrics.h"

#define NAME(x) "certherd_agent_" x

static void write_wanted(struct ch_agent_figures *f, struct ch_buf *out)
{
	ch_metrics_head(out, NAME("wanted_total"), "counter",
		"Names that visitors wait for, of which nginx has told the agent.");
	ch_buf_addf(out, NAME("wanted_total") "{result=\"told\"} %" PRIuFAST64 "\n",
		atomic_load(&f->wanted_told));
	ch_buf_addf(out, NAME("wanted_total") "{result=\"repeated\"} %" PRIuFAST64 "\n",
		atomic_load(&f->wanted_repeated));
	ch_buf_addf(out, NAME("wanted_total") "{result=\"bad\"} %" PRIuFAST64 "\n",
		atomic_load(&f->wanted_bad));
	ch_buf_addf(out, NAME("wanted_total") "{result=\"lost\"} %" PRIuFAST64 "\n",
		atomic_load(&f->wanted_lost));
	ch_metrics_value(out, NAME("wanted_taken_total"), "counter",
		"Of those told: names that the store has taken note of.",
		atomic_load(&f->wanted_taken));
}

void ch_agent_figures_write(void *arg, struct ch_buf *out)
{
	struct ch_agent_figures *f = arg;

	ch_metrics_head(out, NAME("records_total"), "counter",
		"Records of the feed that were applied, or refused: not signed as they must "
		"be.");
	ch_buf_addf(out, NAME("records_total") "{result=\"added\"} %" PRIuFAST64 "\n",
		atomic_load(&f->added));
	ch_buf_addf(out, NAME("records_total") "{result=\"changed\"} %" PRIuFAST64 "\n",
		atomic_load(&f->changed));
	ch_buf_addf(out, NAME("records_total") "{result=\"removed\"} %" PRIuFAST64 "\n",
		atomic_load(&f->removed));
	ch_buf_addf(out, NAME("records_total") "{result=\"refused\"} %" PRIuFAST64 "\n",
		atomic_load(&f->refused));
	ch_metrics_value(out, NAME("filled_total"), "counter",
		"Names that came by snapshots, into a new replica.", atomic_load(&f->filled));
	ch_metrics_value(out, NAME("failures_total"), "counter",
		"Steps that failed: the store was away, the disk full, a removal refused.",
		atomic_load(&f->failures));
	ch_metrics_value(out, NAME("sequence"), "gauge",
		"The feed's sequence number up to which the edge serves.",
		atomic_load(&f->seq));
	ch_metrics_value(out, NAME("names"), "gauge", "Names that the edge knows.",
		atomic_load(&f->names));
	ch_metrics_moment(out, NAME("store_answered_timestamp_seconds"),
		"When the store answered last.", atomic_load(&f->answered_ms));
	ch_metrics_value(out, NAME("in_trouble"), "gauge",
		"1 while the agent reports an error to the store.", atomic_load(&f->troubled));
	ch_metrics_value(out, NAME("removal_refused"), "gauge",
		"1 while a removal waits for somebody to confirm it.", atomic_load(&f->braked));
	write_wanted(f, out);
	ch_metrics_head(out, NAME("info"), "gauge", "Always 1.");
	ch_buf_add_str(out, NAME("info") "{version=\"" CH_VERSION "\"} 1\n");
}
