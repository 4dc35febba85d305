-- As sqlite-0013.sql, where the columns are explained.

ALTER TABLE name ADD COLUMN danger_at bigint;
UPDATE name SET danger_at = (SELECT c.not_after - (c.not_after - c.not_before) / 100 * 10
	FROM cert c WHERE c.version = name.cert) WHERE cert IS NOT NULL;
CREATE INDEX name_danger ON name (danger_at, not_after)
	WHERE danger_at IS NOT NULL AND state NOT IN ('paused', 'moved');
CREATE INDEX name_ca_paused ON name (name) WHERE state = 'paused' AND code = 'ca-paused';

-- Those that came at the same moment have an order too, as in SQLite.
DROP INDEX waiting_turn;
CREATE INDEX waiting_turn ON waiting (class, tenant, cas, since, name);
DROP INDEX turn_next;
CREATE INDEX turn_next ON turn (cas, class, served, tenant) WHERE n > 0;
