-- The policy of a name: for the edges; '' is the default.
-- Their records lie in edge_record beside the names' own: there `name` is the record's key
-- (src/wire/record.h).  Those that say a tenant are made by the program (sqlite_migrate.c).

ALTER TABLE name ADD COLUMN upstream TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN hsts TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN redirect TEXT NOT NULL DEFAULT '';
