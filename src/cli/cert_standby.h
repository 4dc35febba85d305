/* A verb of `certherd cert` with a file of its own. */
#ifndef CH_CLI_CERT_STANDBY_H
#define CH_CLI_CERT_STANDBY_H

int ch_cert_standby_main(int argc, char **argv);

#endif
