-- What was found before the CA was asked: how many of the failures in a row, and since when the
-- name's DNS leads elsewhere; names that left for good are `moved`.

ALTER TABLE name ADD COLUMN checks_failed INTEGER NOT NULL DEFAULT 0; -- of `failures`
ALTER TABLE name ADD COLUMN away_since INTEGER; -- NULL: it does not, as far as is known

INSERT OR IGNORE INTO counter VALUES ('moved', 0);

-- Whatever ends a row of failures ends these.
CREATE TRIGGER name_mended AFTER UPDATE OF failures ON name
	WHEN new.failures = 0 AND (new.checks_failed <> 0 OR new.away_since IS NOT NULL) BEGIN
	UPDATE name SET checks_failed = 0, away_since = NULL WHERE name = new.name;
END;
