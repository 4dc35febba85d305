-- compatible from 3
-- As sqlite-0015.sql, where all is explained.
ALTER TABLE name ADD COLUMN second_standby_cert bigint;
ALTER TABLE name ADD COLUMN second_standby_at bigint;
ALTER TABLE name ADD COLUMN second_standby_failures bigint NOT NULL DEFAULT 0;
ALTER TABLE name ADD COLUMN second_standby_code text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_standby_detail text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_standby_actor text COLLATE "C" NOT NULL DEFAULT 'nobody';
ALTER TABLE orders ADD COLUMN rollback_second bigint;
ALTER TABLE standby_default ADD COLUMN second_hold bigint NOT NULL DEFAULT 0;

UPDATE name SET second_standby_at = 1 WHERE second_cert IS NOT NULL;

CREATE INDEX name_second_standby_own ON name (second_standby_at)
	WHERE standby NOT IN ('', 'none') AND second_standby_at IS NOT NULL AND order_id IS NULL
	AND second_cert IS NOT NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');
CREATE INDEX name_second_standby_default ON name (second_standby_at)
	WHERE standby = '' AND second_standby_at IS NOT NULL AND order_id IS NULL
	AND second_cert IS NOT NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');

CREATE FUNCTION name_second_standby() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.second_cert IS NULL THEN
		IF new.second_standby_cert IS NOT NULL THEN
			DELETE FROM cert_name WHERE name = new.name || '/6';
		END IF;
		new.second_standby_at := NULL;
		new.second_standby_cert := NULL;
	ELSE
		new.second_standby_at := coalesce(new.second_standby_at, 1);
	END IF;
	RETURN new;
END $$;
CREATE TRIGGER name_second_standby BEFORE UPDATE OF second_cert ON name
	FOR EACH ROW EXECUTE FUNCTION name_second_standby();

CREATE FUNCTION name_second_standby_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM cert_name WHERE name = old.name || '/6';
	RETURN NULL;
END $$;
CREATE TRIGGER name_second_standby_gone AFTER DELETE ON name
	FOR EACH ROW EXECUTE FUNCTION name_second_standby_gone();

CREATE FUNCTION cert_name_second_standby() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM cert WHERE version = old.version
		AND NOT EXISTS (SELECT 1 FROM cert_name WHERE version = old.version);
	RETURN NULL;
END $$;
CREATE TRIGGER cert_name_second_standby AFTER DELETE ON cert_name
	FOR EACH ROW WHEN (old.name LIKE '%/6') EXECUTE FUNCTION cert_name_second_standby();

CREATE FUNCTION name_standby_is_of_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT 1 FROM orders WHERE id = new.standby_cert AND second = 1) THEN
		RAISE EXCEPTION 'the standby of a second certificate needs a newer store';
	END IF;
	RETURN new;
END $$;
CREATE TRIGGER name_standby_is_of_first BEFORE UPDATE OF standby_cert ON name
	FOR EACH ROW WHEN (new.standby_cert IS NOT NULL
		AND new.standby_cert IS DISTINCT FROM old.standby_cert)
	EXECUTE FUNCTION name_standby_is_of_first();

CREATE OR REPLACE FUNCTION name_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM rekey WHERE name = old.name;
	IF old.state NOT IN ('paused', 'moved') THEN
		UPDATE cert SET live = live - 1 WHERE version IN (old.cert,
			CASE WHEN old.keys LIKE '%+rsa' THEN old.second_cert END, old.standby_cert,
			CASE WHEN old.keys LIKE '%+rsa' THEN old.second_standby_cert END);
	END IF;
	RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION name_certs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved')
		AND version IN (new.cert, CASE WHEN new.keys LIKE '%+rsa' THEN new.second_cert END,
			new.standby_cert,
			CASE WHEN new.keys LIKE '%+rsa' THEN new.second_standby_cert END);
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved')
		AND version IN (old.cert, CASE WHEN old.keys LIKE '%+rsa' THEN old.second_cert END,
			old.standby_cert,
			CASE WHEN old.keys LIKE '%+rsa' THEN old.second_standby_cert END);
	RETURN NULL;
END $$;
DROP TRIGGER name_certs ON name;
CREATE TRIGGER name_certs
	AFTER UPDATE OF state, cert, second_cert, standby_cert, second_standby_cert, keys ON name
	FOR EACH ROW WHEN (old.keys <> new.keys OR old.cert IS DISTINCT FROM new.cert
		OR old.second_cert IS DISTINCT FROM new.second_cert
		OR old.standby_cert IS DISTINCT FROM new.standby_cert
		OR old.second_standby_cert IS DISTINCT FROM new.second_standby_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')))
	EXECUTE FUNCTION name_certs();
