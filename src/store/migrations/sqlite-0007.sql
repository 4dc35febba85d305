-- Who may claim a name: who held names that were removed, and what proofs are made with, so that one
-- made for another installation proves nothing here.

CREATE TABLE holder (
	name TEXT PRIMARY KEY,
	tenant TEXT NOT NULL,
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holder_at ON holder (at);

CREATE TABLE claim_salt (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	salt BLOB NOT NULL
) STRICT;
INSERT INTO claim_salt VALUES (1, randomblob(32));
