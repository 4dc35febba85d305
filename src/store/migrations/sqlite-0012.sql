-- Names may have keys on P-384: "p384", and "p384+rsa" with a second certificate.

DROP TRIGGER name_certs;
CREATE TRIGGER name_certs AFTER UPDATE OF state, cert, second_cert, keys ON name
	WHEN old.keys <> new.keys OR old.cert IS NOT new.cert OR old.second_cert IS NOT new.second_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')) BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved')
		AND version IN (new.cert, iif(new.keys LIKE '%+rsa', new.second_cert, NULL));
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved')
		AND version IN (old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL));
END;
DROP TRIGGER name_certs_gone;
CREATE TRIGGER name_certs_gone AFTER DELETE ON name
	WHEN old.state NOT IN ('paused', 'moved') BEGIN
	UPDATE cert SET live = live - 1
		WHERE version IN (old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL));
END;

-- The CAs that a name may use, in order: 'main,backup'; '': any.
ALTER TABLE name ADD COLUMN cas TEXT NOT NULL DEFAULT '';

-- Who may use the same ones stands in one line.
DROP TRIGGER waiting_insert;
DROP TRIGGER waiting_delete;
CREATE TABLE waiting_new (
	name TEXT PRIMARY KEY,
	class INTEGER NOT NULL,        -- enum ch_class (src/pace/scheduler.h)
	tenant TEXT NOT NULL,
	since INTEGER NOT NULL,
	cas TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO waiting_new SELECT name, class, tenant, since, '' FROM waiting;
DROP TABLE waiting;
ALTER TABLE waiting_new RENAME TO waiting;
CREATE INDEX waiting_turn ON waiting (class, tenant, cas, since);

CREATE TABLE turn_new (
	class INTEGER NOT NULL,
	tenant TEXT NOT NULL,
	cas TEXT NOT NULL,
	n INTEGER NOT NULL,            -- its rows of waiting
	served INTEGER NOT NULL,
	PRIMARY KEY (class, tenant, cas)
) STRICT, WITHOUT ROWID;
INSERT INTO turn_new SELECT class, tenant, '', n, served FROM turn;
DROP TABLE turn;
ALTER TABLE turn_new RENAME TO turn;
CREATE INDEX turn_next ON turn (cas, class, served) WHERE n > 0;

CREATE TRIGGER waiting_insert AFTER INSERT ON waiting BEGIN
	INSERT INTO turn VALUES (new.class, new.tenant, new.cas, 1, 0)
		ON CONFLICT (class, tenant, cas) DO UPDATE SET n = n + 1;
	UPDATE counter SET n = n + 1 WHERE key = 'waiting';
END;
CREATE TRIGGER waiting_delete AFTER DELETE ON waiting BEGIN
	UPDATE turn SET n = n - 1 WHERE class = old.class AND tenant = old.tenant AND cas = old.cas;
	UPDATE counter SET n = n - 1 WHERE key = 'waiting';
END;

-- Standby certificates: complete, from another CA, sealed, and not live.
ALTER TABLE name ADD COLUMN standby TEXT NOT NULL DEFAULT ''; -- from which CA; '': the issuers' default; 'none'
ALTER TABLE name ADD COLUMN standby_cert INTEGER;
ALTER TABLE name ADD COLUMN standby_at INTEGER;      -- as second_at; NULL: none is wanted, or no certificate is live
ALTER TABLE name ADD COLUMN standby_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE name ADD COLUMN standby_code TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN standby_actor TEXT NOT NULL DEFAULT 'nobody';
ALTER TABLE orders ADD COLUMN standby INTEGER NOT NULL DEFAULT 0; -- 1: brings the standby
CREATE INDEX name_standby_own ON name (standby_at) WHERE standby NOT IN ('', 'none')
	AND standby_at IS NOT NULL AND order_id IS NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');
CREATE INDEX name_standby_default ON name (standby_at) WHERE standby = ''
	AND standby_at IS NOT NULL AND order_id IS NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');

-- What issuers call their CAs, as they said with their last leases.
CREATE TABLE ca (
	name TEXT PRIMARY KEY,
	host TEXT NOT NULL             -- as cert.ari_ca
) STRICT, WITHOUT ROWID;
CREATE TABLE standby_default (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	ca TEXT NOT NULL,              -- '': none
	marked TEXT,                   -- names up to here know that one is wanted; NULL: all
	hold INTEGER NOT NULL          -- until when no account has room
) STRICT;
INSERT INTO standby_default VALUES (1, '', NULL, 0);

-- A standby is renewed as what is live is.
DROP TRIGGER name_certs;
CREATE TRIGGER name_certs AFTER UPDATE OF state, cert, second_cert, standby_cert, keys ON name
	WHEN old.keys <> new.keys OR old.cert IS NOT new.cert OR old.second_cert IS NOT new.second_cert
		OR old.standby_cert IS NOT new.standby_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')) BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved') AND version IN
		(new.cert, iif(new.keys LIKE '%+rsa', new.second_cert, NULL), new.standby_cert);
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved') AND version IN
		(old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL), old.standby_cert);
END;
DROP TRIGGER name_certs_gone;
CREATE TRIGGER name_certs_gone AFTER DELETE ON name
	WHEN old.state NOT IN ('paused', 'moved') BEGIN
	UPDATE cert SET live = live - 1 WHERE version IN
		(old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL), old.standby_cert);
END;
