/* The files of migrations/, embedded by embed_sql.py.  Number i + 1 takes a schema from version
 * i to i + 1; a file never changes once it was released.  _from: the oldest version of the
 * schema whose programs may go on with the newest. */
#ifndef CH_STORE_MIGRATIONS_H
#define CH_STORE_MIGRATIONS_H

extern const char *const ch_migrations_sqlite[];
extern const unsigned ch_migrations_sqlite_n;
extern const unsigned ch_migrations_sqlite_from;
extern const char *const ch_migrations_postgres[];
extern const unsigned ch_migrations_postgres_n;
extern const unsigned ch_migrations_postgres_from;

#endif
