-- What operators are told of, found by indexes of its own: names that the CA has paused for our
-- account, and certificates in danger.

-- When a tenth of the live certificate's lifetime is left.
ALTER TABLE name ADD COLUMN danger_at INTEGER;
UPDATE name SET danger_at = (SELECT c.not_after - (c.not_after - c.not_before) / 100 * 10
	FROM cert c WHERE c.version = name.cert) WHERE cert IS NOT NULL;
CREATE INDEX name_danger ON name (danger_at, not_after)
	WHERE danger_at IS NOT NULL AND state NOT IN ('paused', 'moved');
CREATE INDEX name_ca_paused ON name (name) WHERE state = 'paused' AND code = 'ca-paused';
