-- As sqlite-0012.sql, where the columns are explained.

ALTER TABLE name ADD COLUMN cas text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby_cert bigint;
ALTER TABLE name ADD COLUMN standby_at bigint;
ALTER TABLE name ADD COLUMN standby_failures bigint NOT NULL DEFAULT 0;
ALTER TABLE name ADD COLUMN standby_code text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby_detail text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby_actor text COLLATE "C" NOT NULL DEFAULT 'nobody';
ALTER TABLE orders ADD COLUMN standby bigint NOT NULL DEFAULT 0;
CREATE INDEX name_standby_own ON name (standby_at) WHERE standby NOT IN ('', 'none')
	AND standby_at IS NOT NULL AND order_id IS NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');
CREATE INDEX name_standby_default ON name (standby_at) WHERE standby = ''
	AND standby_at IS NOT NULL AND order_id IS NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');

CREATE TABLE ca (
	name text COLLATE "C" PRIMARY KEY,
	host text COLLATE "C" NOT NULL
);
CREATE TABLE standby_default (
	id bigint PRIMARY KEY CHECK (id = 1),
	ca text COLLATE "C" NOT NULL,
	marked text COLLATE "C",
	hold bigint NOT NULL
);
INSERT INTO standby_default VALUES (1, '', NULL, 0);

ALTER TABLE waiting ADD COLUMN cas text COLLATE "C" NOT NULL DEFAULT '';
DROP INDEX waiting_turn;
CREATE INDEX waiting_turn ON waiting (class, tenant, cas, since);
ALTER TABLE turn ADD COLUMN cas text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE turn DROP CONSTRAINT turn_pkey, ADD PRIMARY KEY (class, tenant, cas);
DROP INDEX turn_next;
CREATE INDEX turn_next ON turn (cas, class, served) WHERE n > 0;
CREATE OR REPLACE FUNCTION waiting_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO turn (class, tenant, cas, n, served)
			VALUES (new.class, new.tenant, new.cas, 1, 0)
			ON CONFLICT (class, tenant, cas) DO UPDATE SET n = turn.n + 1;
		UPDATE counter SET n = n + 1 WHERE key = 'waiting';
	ELSE
		UPDATE turn SET n = n - 1 WHERE class = old.class AND tenant = old.tenant
			AND cas = old.cas;
		UPDATE counter SET n = n - 1 WHERE key = 'waiting';
	END IF;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION name_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM rekey WHERE name = old.name;
	IF old.state NOT IN ('paused', 'moved') THEN
		UPDATE cert SET live = live - 1 WHERE version IN (old.cert,
			CASE WHEN old.keys LIKE '%+rsa' THEN old.second_cert END, old.standby_cert);
	END IF;
	RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION name_certs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved')
		AND version IN (new.cert, CASE WHEN new.keys LIKE '%+rsa' THEN new.second_cert END,
			new.standby_cert);
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved')
		AND version IN (old.cert, CASE WHEN old.keys LIKE '%+rsa' THEN old.second_cert END,
			old.standby_cert);
	RETURN NULL;
END $$;
DROP TRIGGER name_certs ON name;
CREATE TRIGGER name_certs AFTER UPDATE OF state, cert, second_cert, standby_cert, keys ON name
	FOR EACH ROW WHEN (old.keys <> new.keys OR old.cert IS DISTINCT FROM new.cert
		OR old.second_cert IS DISTINCT FROM new.second_cert
		OR old.standby_cert IS DISTINCT FROM new.standby_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')))
	EXECUTE FUNCTION name_certs();
