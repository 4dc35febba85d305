/* The verbs of `certherd domain`. */
#ifndef CH_CLI_DOMAIN_H
#define CH_CLI_DOMAIN_H

int ch_domain_add_main(int argc, char **argv);
int ch_domain_show_main(int argc, char **argv);
int ch_domain_list_main(int argc, char **argv);
int ch_domain_rm_main(int argc, char **argv);
int ch_domain_retry_main(int argc, char **argv);
int ch_domain_pause_main(int argc, char **argv);
int ch_domain_resume_main(int argc, char **argv);
int ch_domain_import_main(int argc, char **argv);

/* How many names one command line may have. */
#define CH_DOMAIN_ARGS_MAX 100000

#endif
