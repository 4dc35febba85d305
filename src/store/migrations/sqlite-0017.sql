-- compatible from 13
-- Names without a certificate that a visitor asked for.  Stores that do not know this column leave it
-- alone: what they do that ends it, the trigger carries over.
ALTER TABLE name ADD COLUMN wanted_at INTEGER; -- when he did; NULL: nobody did, or it counts no longer

-- Both have a bounded number of rows.
CREATE INDEX name_wanted ON name (wanted_at, next_at) WHERE wanted_at IS NOT NULL;
CREATE INDEX name_wanted_of ON name (tenant) WHERE wanted_at IS NOT NULL;

CREATE TRIGGER name_wanted_ends AFTER UPDATE OF order_id, cert, state, pool, failures ON name
	WHEN new.wanted_at IS NOT NULL AND (new.order_id IS NOT NULL OR new.cert IS NOT NULL
		OR new.state = 'paused' OR new.pool <> old.pool OR new.failures > old.failures) BEGIN
	UPDATE name SET wanted_at = NULL WHERE name = new.name;
END;
