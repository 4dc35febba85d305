-- compatible from 13
-- The second certificate of a name has a standby of its own.  Stores that do not know of it leave
-- these columns alone; what they do to other ones that these follow from, triggers carry over.
ALTER TABLE name ADD COLUMN second_standby_cert INTEGER;
ALTER TABLE name ADD COLUMN second_standby_at INTEGER; -- when it is due, whether or not one is wanted; NULL: no second certificate is live
ALTER TABLE name ADD COLUMN second_standby_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE name ADD COLUMN second_standby_code TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_standby_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_standby_actor TEXT NOT NULL DEFAULT 'nobody';
-- Its order is of the second certificate and of a standby: second = 1 and standby = 1.

-- Put back together with `rollback`, under the version that follows the id of the order.
ALTER TABLE orders ADD COLUMN rollback_second INTEGER;
-- Until when no issuer is thought to be able to bring one.
ALTER TABLE standby_default ADD COLUMN second_hold INTEGER NOT NULL DEFAULT 0;

UPDATE name SET second_standby_at = 1 WHERE second_cert IS NOT NULL;

CREATE INDEX name_second_standby_own ON name (second_standby_at)
	WHERE standby NOT IN ('', 'none') AND second_standby_at IS NOT NULL AND order_id IS NULL
	AND second_cert IS NOT NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');
CREATE INDEX name_second_standby_default ON name (second_standby_at)
	WHERE standby = '' AND second_standby_at IS NOT NULL AND order_id IS NULL
	AND second_cert IS NOT NULL AND cert IS NOT NULL AND failures = 0
	AND state NOT IN ('paused', 'moved');

-- One that becomes live gets a standby; one that is withdrawn needs none any more.  The record of a
-- standby lies in cert_name under the key of second records ('a.example/6'), where stores that do
-- not know of it forget nothing.
CREATE TRIGGER name_second_standby AFTER UPDATE OF second_cert ON name
	WHEN (new.second_cert IS NULL AND (new.second_standby_at IS NOT NULL
			OR new.second_standby_cert IS NOT NULL))
		OR (new.second_cert IS NOT NULL AND new.second_standby_at IS NULL) BEGIN
	UPDATE name SET second_standby_at = iif(new.second_cert IS NULL, NULL, 1),
		second_standby_cert = iif(new.second_cert IS NULL, NULL, second_standby_cert)
		WHERE name = new.name;
	DELETE FROM cert_name WHERE new.second_cert IS NULL AND name = new.name || '/6';
END;
CREATE TRIGGER name_second_standby_gone AFTER DELETE ON name BEGIN
	DELETE FROM cert_name WHERE name = old.name || '/6';
END;
CREATE TRIGGER cert_name_second_standby AFTER DELETE ON cert_name WHEN old.name LIKE '%/6' BEGIN
	DELETE FROM cert WHERE version = old.version
		AND NOT EXISTS (SELECT 1 FROM cert_name WHERE version = old.version);
END;
-- And such a store must not take it for the standby of the first.
CREATE TRIGGER name_standby_is_of_first BEFORE UPDATE OF standby_cert ON name
	WHEN new.standby_cert IS NOT NULL AND new.standby_cert IS NOT old.standby_cert
		AND EXISTS (SELECT 1 FROM orders WHERE id = new.standby_cert AND second = 1) BEGIN
	SELECT RAISE(ABORT, 'the standby of a second certificate needs a newer store');
END;

-- It is renewed as what is live is.
DROP TRIGGER name_certs;
CREATE TRIGGER name_certs
	AFTER UPDATE OF state, cert, second_cert, standby_cert, second_standby_cert, keys ON name
	WHEN old.keys <> new.keys OR old.cert IS NOT new.cert OR old.second_cert IS NOT new.second_cert
		OR old.standby_cert IS NOT new.standby_cert
		OR old.second_standby_cert IS NOT new.second_standby_cert
		OR (old.state IN ('paused', 'moved')) <> (new.state IN ('paused', 'moved')) BEGIN
	UPDATE cert SET live = live + 1 WHERE new.state NOT IN ('paused', 'moved') AND version IN
		(new.cert, iif(new.keys LIKE '%+rsa', new.second_cert, NULL), new.standby_cert,
			iif(new.keys LIKE '%+rsa', new.second_standby_cert, NULL));
	UPDATE cert SET live = live - 1 WHERE old.state NOT IN ('paused', 'moved') AND version IN
		(old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL), old.standby_cert,
			iif(old.keys LIKE '%+rsa', old.second_standby_cert, NULL));
END;
DROP TRIGGER name_certs_gone;
CREATE TRIGGER name_certs_gone AFTER DELETE ON name
	WHEN old.state NOT IN ('paused', 'moved') BEGIN
	UPDATE cert SET live = live - 1 WHERE version IN
		(old.cert, iif(old.keys LIKE '%+rsa', old.second_cert, NULL), old.standby_cert,
			iif(old.keys LIKE '%+rsa', old.second_standby_cert, NULL));
END;
