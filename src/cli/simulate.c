/* `certherd simulate`, and `certherd forecast` of a scenario. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/sim_report.h"

/* -1 to go on, else the exit code. */
static int load(const char *command, const char *path, struct ch_scenario *ret_scenario)
{
	struct ch_err err;

	/* A configuration is read likewise, and certherd init makes none of these. */
	if (access(path, R_OK))
		(void)ch_err_set(&err, CH_EIO, "scenario-open",
			"cannot read the scenario %s: %s (doc/simulate.md says what is in one)",
			path, strerror(errno));
	else if (ch_scenario_load(path, ret_scenario, &err) == CH_OK)
		return -1;
	fprintf(stderr, "certherd %s: %s\n", command, err.detail);
	return CH_EXIT_USAGE;
}

/* One run with its progress; what went wrong was said. */
static int run(const char *command, const struct ch_scenario *scenario,
	struct ch_sim_options options, struct ch_sim_result *ret_result)
{
	struct ch_sim_progress progress;
	int rc;

	options.progress = ch_sim_progress_show;
	options.arg = &progress;
	ch_sim_progress_begin(&progress);
	rc = ch_sim_run(scenario, &options, ret_result);
	ch_sim_progress_end(&progress);
	if (rc == CH_OK)
		return CH_EXIT_OK;
	fprintf(stderr,
		"certherd %s: out of memory: a million names take about 400 MB, fewer take "
		"less\n",
		command);
	return CH_EXIT_FAILED;
}

static int64_t *new_times(const struct ch_scenario *scenario)
{
	return calloc(scenario->n_names, sizeof(int64_t));
}

/* Another seed than the run that it is compared with. */
static int forecast(const char *command, const struct ch_scenario *scenario,
	struct ch_sim_result *ret_result, int64_t *ret_first_ms)
{
	const struct ch_sim_options options = {
		.forecast = true, .seed = scenario->seed + 1000, .ret_first_ms = ret_first_ms};

	return run(command, scenario, options, ret_result);
}

static int simulate(const struct ch_scenario *scenario, bool compare, bool json)
{
	CH_AUTO_FREE int64_t *real_ms = new_times(scenario);
	CH_AUTO_FREE int64_t *forecast_ms = new_times(scenario);
	struct ch_sim_options options = {.ret_first_ms = real_ms};
	struct ch_sim_result result = {0};
	struct ch_sim_result foretold = {0};
	uint64_t exceeded = 0;
	double error = -1;
	int code = CH_EXIT_FAILED;

	if (!real_ms || !forecast_ms)
		return CH_EXIT_FAILED;
	code = compare ? forecast("simulate", scenario, &foretold, forecast_ms) : CH_EXIT_OK;
	ch_sim_result_done(&foretold);
	if (code == CH_EXIT_OK)
		code = run("simulate", scenario, options, &result);
	if (code == CH_EXIT_OK && compare &&
		ch_sim_forecast_error(scenario, forecast_ms, real_ms, 0.95, &error))
		code = CH_EXIT_FAILED;
	if (code)
		return code;
	if (json)
		ch_sim_report_run_json(scenario, &result, error);
	else
		ch_sim_report_run(scenario, &result, error);
	for (int i = 1; i < CH_SIM_LIMIT_COUNT; i++)
		exceeded += result.exceeded[i];
	ch_sim_result_done(&result);
	return exceeded || ch_sim_expired_sum(&result.expired) ? CH_EXIT_FAILED : CH_EXIT_OK;
}

int ch_simulate_main(int argc, char **argv)
{
	CH_CLEANUP(ch_scenario_done) struct ch_scenario scenario = {0};
	bool json = false;
	bool compare = false;
	const struct ch_opt list[] = {
		{"forecast", NULL, "compares with what a forecast on the first day says",
			&compare, NULL},
		{"json", NULL, "prints JSON for programs", &json, NULL}};
	const struct ch_opts opts = {.command = "simulate",
		.usage = "SCENARIO [--forecast] [--json]",
		.help = "Runs scheduler, pacing, retries and renewal calendar in virtual time "
			"against a CA's\n"
			"limits: what expires and why, which limits are exceeded, how even the "
			"load is. Exit\n"
			"code 1: something expired, or a limit was exceeded.",
		.list = list,
		.n = CH_ARRAY_LEN(list),
		.args_min = 1,
		.args_max = 1};
	size_t n_args;
	int rc = ch_opts_parse(&opts, argc, argv, &n_args);
	int code;

	if (rc)
		return rc == CH_ECANCELED ? CH_EXIT_OK : CH_EXIT_USAGE;
	code = load("simulate", argv[1], &scenario);
	return code >= 0 ? code : simulate(&scenario, compare, json);
}

int ch_forecast_scenario(const char *path, bool json)
{
	CH_CLEANUP(ch_scenario_done) struct ch_scenario scenario = {0};
	CH_AUTO_FREE int64_t *first_ms = NULL;
	struct ch_sim_result result = {0};
	int code = load("forecast", path, &scenario);

	if (code >= 0)
		return code;
	first_ms = new_times(&scenario);
	if (!first_ms)
		return CH_EXIT_FAILED;
	code = forecast("forecast", &scenario, &result, first_ms);
	if (code)
		return code;
	if (json)
		ch_sim_report_forecast_json(&scenario, &result, first_ms);
	else
		ch_sim_report_forecast(&scenario, &result, first_ms);
	ch_sim_result_done(&result);
	return CH_EXIT_OK;
}
