-- The renewal calendar (src/pace/calendar.h): how many renewals are planned in each hour; and what
-- CAs say about when to renew (RFC 9773).

ALTER TABLE cert ADD COLUMN paced TEXT;       -- 'CA/ACCOUNT' that it is from; NULL: not known
ALTER TABLE cert ADD COLUMN live INTEGER NOT NULL DEFAULT 0; -- names that are to be renewed with it
ALTER TABLE cert ADD COLUMN ari_id TEXT;      -- by which the CA knows it; NULL: it is not asked
ALTER TABLE cert ADD COLUMN ari_ca TEXT;
ALTER TABLE cert ADD COLUMN ari_start INTEGER; -- the CA's window; NULL: none yet
ALTER TABLE cert ADD COLUMN ari_end INTEGER;
ALTER TABLE cert ADD COLUMN ari_url TEXT;     -- where the CA explains it
ALTER TABLE cert ADD COLUMN ari_asked INTEGER; -- when it answered last
ALTER TABLE cert ADD COLUMN ari_fails INTEGER NOT NULL DEFAULT 0; -- in a row
ALTER TABLE cert ADD COLUMN ari_next INTEGER; -- when to ask; NULL: not

-- 1: free of the account's and the domain's limit; 2: of all.
ALTER TABLE orders ADD COLUMN free INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN replaces TEXT;  -- the ari_id of the certificate to be renewed
UPDATE orders SET free = 1 WHERE renewal OR second;

UPDATE cert SET paced = (SELECT o.paced FROM orders o WHERE o.id = version);
UPDATE cert SET live = u.n FROM (SELECT version, count(*) AS n FROM (
		SELECT cert AS version FROM name
			WHERE cert IS NOT NULL AND state NOT IN ('paused', 'moved')
		UNION ALL SELECT second_cert FROM name
			WHERE second_cert IS NOT NULL AND keys = 'ecdsa+rsa' AND state NOT IN ('paused', 'moved'))
	GROUP BY version) u WHERE u.version = cert.version;

CREATE INDEX cert_ari ON cert (ari_ca, ari_next) WHERE ari_next IS NOT NULL;

-- Slots are numbered as in src/pace/calendar.h: by hours.  Counted by triggers, so that whatever
-- becomes of a name or a certificate is counted in the same commit.
CREATE TABLE renewal_slot (
	slot INTEGER PRIMARY KEY,
	n INTEGER NOT NULL
) STRICT;
INSERT INTO renewal_slot SELECT renew_at / 3600000, count(*) FROM cert WHERE live > 0 GROUP BY 1;

CREATE TRIGGER cert_planned AFTER UPDATE OF live, renew_at ON cert
	WHEN (old.live > 0) <> (new.live > 0)
		OR (new.live > 0 AND old.renew_at / 3600000 <> new.renew_at / 3600000) BEGIN
	UPDATE renewal_slot SET n = n - 1 WHERE old.live > 0 AND slot = old.renew_at / 3600000;
	DELETE FROM renewal_slot WHERE slot = old.renew_at / 3600000 AND n = 0;
	INSERT INTO renewal_slot SELECT new.renew_at / 3600000, 1 WHERE new.live > 0
		ON CONFLICT (slot) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER cert_unplanned AFTER DELETE ON cert WHEN old.live > 0 BEGIN
	UPDATE renewal_slot SET n = n - 1 WHERE slot = old.renew_at / 3600000;
	DELETE FROM renewal_slot WHERE slot = old.renew_at / 3600000 AND n = 0;
END;
-- The CA is asked about what is to be renewed only: at once when that begins.
CREATE TRIGGER cert_asked AFTER UPDATE OF live ON cert
	WHEN (old.live > 0) <> (new.live > 0) AND new.ari_id IS NOT NULL BEGIN
	UPDATE cert SET ari_next = iif(new.live > 0, 0, NULL) WHERE version = new.version;
END;

-- A second certificate that is no longer wanted is not renewed.
-- What is new is counted before what was, so that nothing stops being live in between.
CREATE TRIGGER name_certs AFTER UPDATE OF state, cert, second_cert, keys ON name
	WHEN old.keys <> new.keys OR old.cert IS NOT new.cert OR old.second_cert IS NOT new.second_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')) BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved')
		AND version IN (new.cert, iif(new.keys = 'ecdsa+rsa', new.second_cert, NULL));
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved')
		AND version IN (old.cert, iif(old.keys = 'ecdsa+rsa', old.second_cert, NULL));
END;
CREATE TRIGGER name_certs_gone AFTER DELETE ON name
	WHEN old.state NOT IN ('paused', 'moved') BEGIN
	UPDATE cert SET live = live - 1
		WHERE version IN (old.cert, iif(old.keys = 'ecdsa+rsa', old.second_cert, NULL));
END;
