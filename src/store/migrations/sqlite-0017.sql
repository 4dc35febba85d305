-- compatible from 13
-- Names without a certificate that a visitor asked for.  Stores that do not know this column leave it
-- alone: what they do that ends it, the trigger carries over.
ALTER TABLE name ADD COLUMN wanted_at INTEGER; -- when he did; NULL: nobody did, or it counts no longer

-- One whose DNS led elsewhere was looked at before its time, since he came here all the same.
ALTER TABLE name ADD COLUMN looked_again_at INTEGER; -- when that was last; NULL: never
ALTER TABLE name ADD COLUMN look_was_at INTEGER; -- the next_at that this was done in place of; NULL: it is over

-- The first two have a bounded number of rows.
CREATE INDEX name_wanted ON name (wanted_at, next_at) WHERE wanted_at IS NOT NULL;
CREATE INDEX name_wanted_of ON name (tenant) WHERE wanted_at IS NOT NULL;
CREATE INDEX name_looked_again ON name (looked_again_at, tenant) WHERE looked_again_at IS NOT NULL;

CREATE TRIGGER name_wanted_ends AFTER UPDATE OF order_id, cert, state, pool, failures ON name
	WHEN new.wanted_at IS NOT NULL AND (new.order_id IS NOT NULL OR new.cert IS NOT NULL
		OR new.state = 'paused' OR new.pool <> old.pool OR new.failures > old.failures) BEGIN
	UPDATE name SET wanted_at = NULL WHERE name = new.name;
END;
CREATE TRIGGER name_look_ends AFTER UPDATE OF cert, state, pool, failures ON name
	WHEN new.look_was_at IS NOT NULL AND (new.cert IS NOT NULL OR new.state = 'paused'
		OR new.pool <> old.pool OR new.failures <> old.failures) BEGIN
	UPDATE name SET look_was_at = NULL WHERE name = new.name;
END;
