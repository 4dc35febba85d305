-- compatible from 3
-- As sqlite-0017.sql, where all is explained.
ALTER TABLE name ADD COLUMN wanted_at bigint;
ALTER TABLE name ADD COLUMN looked_again_at bigint;
ALTER TABLE name ADD COLUMN look_was_at bigint;

CREATE INDEX name_wanted ON name (wanted_at, next_at) WHERE wanted_at IS NOT NULL;
CREATE INDEX name_wanted_of ON name (tenant) WHERE wanted_at IS NOT NULL;
CREATE INDEX name_looked_again ON name (looked_again_at, tenant) WHERE looked_again_at IS NOT NULL;
-- What nothing is known of is taken for a column without NULLs, and the indexes for large ones.
ANALYZE name (wanted_at, looked_again_at);

CREATE FUNCTION name_wanted_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.wanted_at := NULL;
	RETURN new;
END $$;
CREATE TRIGGER name_wanted_ends BEFORE UPDATE OF order_id, cert, state, pool, failures ON name
	FOR EACH ROW WHEN (new.wanted_at IS NOT NULL AND (new.order_id IS NOT NULL
		OR new.cert IS NOT NULL OR new.state = 'paused' OR new.pool <> old.pool
		OR new.failures > old.failures))
	EXECUTE FUNCTION name_wanted_ends();

CREATE FUNCTION name_look_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.look_was_at := NULL;
	RETURN new;
END $$;
CREATE TRIGGER name_look_ends BEFORE UPDATE OF cert, state, pool, failures ON name
	FOR EACH ROW WHEN (new.look_was_at IS NOT NULL AND (new.cert IS NOT NULL
		OR new.state = 'paused' OR new.pool <> old.pool OR new.failures <> old.failures))
	EXECUTE FUNCTION name_look_ends();
