/* `certherd store`: the API server over the database. */
#ifndef CH_STORED_STORED_H
#define CH_STORED_STORED_H

/* argv[0] is "store".  Returns the exit status. */
int ch_store_main(int argc, char **argv);
/* The whole database at once: `certherd backup`, `restore`, `migrate`. */
int ch_backup_main(int argc, char **argv);
int ch_restore_main(int argc, char **argv);
int ch_migrate_main(int argc, char **argv);

#endif
