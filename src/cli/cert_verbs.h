/* The verbs of `certherd cert` that have a file of their own. */
#ifndef CH_CLI_CERT_VERBS_H
#define CH_CLI_CERT_VERBS_H

int ch_cert_rollback_main(int argc, char **argv);
int ch_cert_standby_main(int argc, char **argv);

#endif
