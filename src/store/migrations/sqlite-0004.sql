-- Brakes: a pool whose edges are to get no changes, or one of them first; and roll-back.

CREATE TABLE pool (
	pool TEXT PRIMARY KEY,
	frozen_at INTEGER,             -- NULL: not frozen
	frozen_by TEXT,
	frozen_why TEXT,
	frozen_seq INTEGER NOT NULL,   -- head of the feed when it was frozen
	canary TEXT,                   -- the edge that gets changes first
	soak INTEGER NOT NULL,
	release_seq INTEGER NOT NULL   -- what is held up to here may go to all edges
) STRICT, WITHOUT ROWID;

-- Newest records that the pool's edges do not get yet; edge_record keeps the ones before.  They
-- are numbered as those are, and numbered anew when they go there.
CREATE TABLE held (
	seq INTEGER PRIMARY KEY,
	pool TEXT NOT NULL,
	name TEXT NOT NULL,            -- the record's key, as in edge_record
	version INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	record BLOB NOT NULL,
	chain_id BLOB,
	at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX held_name ON held (name, pool);
CREATE INDEX held_pool ON held (pool, seq);
-- Those that do not wait for a canary: all but certificates and policies.
CREATE INDEX held_plain ON held (pool, seq) WHERE kind NOT IN (2, 4);

-- When the canary, in good health, had what is held up to seq.
CREATE TABLE canary_mark (
	pool TEXT NOT NULL,
	seq INTEGER NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (pool, seq)
) STRICT, WITHOUT ROWID;

-- Roll-back: a certificate that was live before, under a new version.
ALTER TABLE cert ADD COLUMN origin INTEGER;      -- the version that it is again; NULL: itself
ALTER TABLE orders ADD COLUMN rollback INTEGER;  -- no order at the CA: this version is put back
