/* What `certherd simulate` and `certherd forecast` print. */
#ifndef CH_CLI_SIM_REPORT_H
#define CH_CLI_SIM_REPORT_H

#include <stdio.h>

#include "sim/engine.h"

/* How far a run is, on stderr: a line that is rewritten on a terminal, else one every 5
 * seconds. */
struct ch_sim_progress {
	int64_t began_ms;
	int64_t shown_ms;
	bool tty;
	bool on_screen;
};

void ch_sim_progress_begin(struct ch_sim_progress *progress);
/* The callback of ch_sim_options; arg is the progress. */
void ch_sim_progress_show(void *arg, int64_t now_ms, int64_t span_ms, uint64_t orders);
void ch_sim_progress_end(struct ch_sim_progress *progress);

/* error: of the forecast at the 95th percentile; negative: not asked for. */
void ch_sim_report_run(
	const struct ch_scenario *scenario, const struct ch_sim_result *result, double error);
void ch_sim_report_run_json(
	const struct ch_scenario *scenario, const struct ch_sim_result *result, double error);
/* first_ms: by name. */
void ch_sim_report_forecast(const struct ch_scenario *scenario,
	const struct ch_sim_result *result, const int64_t *first_ms);
void ch_sim_report_forecast_json(const struct ch_scenario *scenario,
	const struct ch_sim_result *result, const int64_t *first_ms);

#endif
