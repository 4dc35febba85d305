/* `certherd issuer`: leases orders from the store and takes each one step further. */
#ifndef CH_ISSUERD_ISSUERD_H
#define CH_ISSUERD_ISSUERD_H

int ch_issuer_main(int argc, char **argv);
/* `certherd account`, `certherd revoke` */
int ch_account_main(int argc, char **argv);
int ch_revoke_main(int argc, char **argv);
/* `certherd adopt` */
int ch_adopt_main(int argc, char **argv);

#endif
