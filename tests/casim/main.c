/* casim: a certificate authority for tests.
 *
 *     casim LISTEN CERT.pem KEY.pem MANAGE [SETTINGS.json]
 *
 * LISTEN and MANAGE are like 127.0.0.1:14000.  README.md has the settings. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ca.h"
#include "nonce.h"
#include "server.h"
#include "settings.h"
#include "timer.h"
#include "validate.h"

#define VALIDATORS 8

static void read_settings(struct sim *sim, const char *path)
{
	json_error_t err;
	json_auto_t *change = json_load_file(path, 0, &err);
	char why[200];

	if (!change)
		sim_die("%s: %s", path, err.text);
	if (!sim_settings_change(sim, change, why, sizeof(why)))
		sim_die("%s: %s", path, why);
}

int main(int argc, char **argv)
{
	static struct sim sim = {.lock = PTHREAD_MUTEX_INITIALIZER};
	sigset_t end;
	int signal;

	if (argc != 5 && argc != 6) {
		fprintf(stderr,
			"usage: casim LISTEN CERT.pem KEY.pem MANAGE [SETTINGS.json]\n");
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	sigaddset(&end, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	sigdelset(&end, SIGPIPE);
	sim.settings = sim_settings_default();
	sim.counts = json_object();
	if (argc == 6)
		read_settings(&sim, argv[5]);
	sim.nonces = sim_nonces_new();
	sim.ca = sim_ca_new();
	sim_timer_init();
	sim_validate_init(VALIDATORS);
	sim_server_start(&sim, argv[1], argv[2], argv[3]);
	sim_manage_start(&sim, argv[4]);
	sigwait(&end, &signal);
	/* Connections may be asleep: nothing is taken down in order. */
	_exit(0);
}
