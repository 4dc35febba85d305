/* The operator's commands.  Each is a main: argv[0] is its name; it prints its own --help. */
#ifndef CH_CLI_CLI_H
#define CH_CLI_CLI_H

#include <stdbool.h>

int ch_domain_main(int argc, char **argv);
int ch_status_main(int argc, char **argv);
int ch_ui_main(int argc, char **argv);
int ch_cert_main(int argc, char **argv);
int ch_feed_main(int argc, char **argv);
int ch_limits_main(int argc, char **argv);
int ch_rekey_main(int argc, char **argv);
int ch_alerts_main(int argc, char **argv);
int ch_calendar_main(int argc, char **argv);
int ch_probe_main(int argc, char **argv);
int ch_simulate_main(int argc, char **argv);
int ch_forecast_main(int argc, char **argv);
/* What it does with a scenario; returns the exit code. */
int ch_forecast_scenario(const char *path, bool json);

#endif
