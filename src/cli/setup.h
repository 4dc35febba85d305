/* The commands that make folders, keys and identities.  argv[0] is the command's name. */
#ifndef CH_CLI_SETUP_H
#define CH_CLI_SETUP_H

int ch_init_main(int argc, char **argv);
int ch_identity_main(int argc, char **argv);
int ch_key_main(int argc, char **argv);

#endif
