/* `certherd up`: store, issuer and agent on one machine, each its own process and, as root, its
 * own user, below one supervisor that starts them again when they end. */
#ifndef CH_UP_UP_H
#define CH_UP_UP_H

/* Exit codes: 0 stopped by SIGTERM, SIGINT or a terminal's SIGHUP; 1 failed; 2 usage or
 * configuration, also when a role says so at its first start. */
int ch_up_main(int argc, char **argv);

#endif
