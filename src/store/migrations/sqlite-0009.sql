-- Certificates that are to be replaced on request, before their renewal.

CREATE TABLE rekey (
	name TEXT NOT NULL,
	second INTEGER NOT NULL,       -- 1: the name's second certificate
	at INTEGER NOT NULL,           -- when its turn is
	PRIMARY KEY (name, second)
) STRICT, WITHOUT ROWID;
CREATE INDEX rekey_at ON rekey (at);

INSERT OR IGNORE INTO counter VALUES ('rekey', 0);
INSERT OR IGNORE INTO counter VALUES ('rekey-total', 0);
INSERT OR IGNORE INTO counter VALUES ('rekey-began', 0);
CREATE TRIGGER rekey_insert AFTER INSERT ON rekey BEGIN
	UPDATE counter SET n = n + 1 WHERE key IN ('rekey', 'rekey-total');
END;
CREATE TRIGGER rekey_delete AFTER DELETE ON rekey BEGIN
	UPDATE counter SET n = n - 1 WHERE key = 'rekey';
END;
CREATE TRIGGER rekey_name_gone AFTER DELETE ON name BEGIN
	DELETE FROM rekey WHERE name = old.name;
END;
