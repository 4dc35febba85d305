-- Times are Unix milliseconds.  States and actors are the words of the API.

CREATE TABLE meta (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	epoch BLOB NOT NULL,           -- renewed when the database was restored
	last_id INTEGER NOT NULL,      -- orders and versions of records
	head INTEGER NOT NULL,         -- newest sequence number of the feed
	floor INTEGER NOT NULL         -- tombstones up to here may be gone
) STRICT;
INSERT INTO meta VALUES (1, randomblob(16), 0, 0, 0);

CREATE TABLE name (
	name TEXT PRIMARY KEY,
	tenant TEXT NOT NULL,
	pool TEXT NOT NULL,
	www INTEGER NOT NULL,          -- 1: 'www.' || name is in its group
	www_of TEXT,                   -- on a www name of a group: the first name
	state TEXT NOT NULL,
	code TEXT NOT NULL,
	detail TEXT NOT NULL,
	actor TEXT NOT NULL,
	next_at INTEGER,               -- next try or renewal; NULL while paused
	failures INTEGER NOT NULL,
	version INTEGER NOT NULL,      -- of its newest edge record
	order_id INTEGER,              -- the open order
	solo INTEGER NOT NULL,         -- 1: its next order is for it alone
	cert INTEGER,                  -- live certificate
	prev_cert INTEGER,             -- the one before, for roll-back
	not_after INTEGER,             -- of the live certificate
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX name_due ON name (next_at) WHERE order_id IS NULL AND next_at IS NOT NULL;
CREATE INDEX name_state ON name (state);
CREATE INDEX name_tenant ON name (tenant);
CREATE INDEX name_actor ON name (actor) WHERE actor <> 'nobody';
CREATE INDEX name_expiry ON name (not_after) WHERE not_after IS NOT NULL;

CREATE TABLE orders (
	id INTEGER PRIMARY KEY,
	state TEXT NOT NULL,
	pool TEXT NOT NULL,
	fence INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	renewal INTEGER NOT NULL,
	next_at INTEGER,               -- while leased: when the lease runs out; NULL once ended
	code TEXT,
	detail TEXT,
	actor TEXT,
	lease_issuer TEXT,
	lease_until INTEGER,
	acme TEXT,
	csr BLOB,
	sealed BLOB,
	leaf_sha256 BLOB,              -- once published
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	ended_at INTEGER
) STRICT;
CREATE INDEX orders_due ON orders (next_at) WHERE ended_at IS NULL;
CREATE INDEX orders_leased ON orders (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX orders_ended ON orders (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX orders_state ON orders (state, id);

CREATE TABLE order_name (
	order_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	had_cert INTEGER NOT NULL,
	prev_state TEXT NOT NULL,
	gone INTEGER NOT NULL,         -- removed, moved or paused meanwhile
	PRIMARY KEY (order_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_name_name ON order_name (name, order_id);

CREATE TABLE cert (
	version INTEGER PRIMARY KEY,   -- id of the order that brought it
	names TEXT NOT NULL,           -- separated by spaces
	leaf BLOB NOT NULL,
	leaf_sha256 BLOB NOT NULL,
	chain_id BLOB,
	serial TEXT NOT NULL,
	issuer TEXT NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	renew_at INTEGER NOT NULL,
	spki_sha256 BLOB NOT NULL,
	published_at INTEGER NOT NULL
) STRICT;

CREATE TABLE cert_name (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	version INTEGER NOT NULL,
	record BLOB,                   -- of a certificate that is no longer live, for roll-back
	UNIQUE (name, version)
) STRICT;
CREATE INDEX cert_name_version ON cert_name (version);

CREATE TABLE chain (
	id BLOB PRIMARY KEY,
	block BLOB NOT NULL
) STRICT;

-- The feed: the newest record of each name in each pool, numbered in the order of commits.
-- The number is the row's address, so that a snapshot reads the file from one end to the other.
CREATE TABLE edge_record (
	seq INTEGER PRIMARY KEY,
	pool TEXT NOT NULL,
	name TEXT NOT NULL,
	version INTEGER NOT NULL,
	kind INTEGER NOT NULL,         -- enum ch_record_kind
	record BLOB NOT NULL,
	chain_id BLOB,
	at INTEGER NOT NULL,
	UNIQUE (name, pool)
) STRICT;
CREATE INDEX edge_record_pool ON edge_record (pool, seq);
CREATE INDEX edge_record_tombstone ON edge_record (at) WHERE kind = 3;

CREATE TABLE edge (
	pool TEXT NOT NULL,
	id TEXT NOT NULL,
	epoch BLOB NOT NULL,
	seq INTEGER NOT NULL,
	names INTEGER NOT NULL,
	software TEXT NOT NULL,
	error TEXT,
	seen_at INTEGER NOT NULL,
	PRIMARY KEY (pool, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	at INTEGER NOT NULL,
	event TEXT NOT NULL,
	detail TEXT NOT NULL,
	actor TEXT NOT NULL
) STRICT;
CREATE INDEX history_name ON history (name, id);

CREATE TABLE audit (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	who TEXT NOT NULL,
	action TEXT NOT NULL,
	target TEXT NOT NULL
) STRICT;

-- Counting a million rows takes too long for a status page.
CREATE TABLE counter (
	key TEXT PRIMARY KEY,
	n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('pending', 0), ('validating', 0), ('issuing', 0), ('active', 0),
	('renewing', 0), ('failed', 0), ('paused', 0), ('orders-open', 0);

CREATE TRIGGER name_insert AFTER INSERT ON name BEGIN
	UPDATE counter SET n = n + 1 WHERE key = new.state;
END;
CREATE TRIGGER name_delete AFTER DELETE ON name BEGIN
	UPDATE counter SET n = n - 1 WHERE key = old.state;
END;
CREATE TRIGGER name_update AFTER UPDATE OF state ON name WHEN old.state <> new.state BEGIN
	UPDATE counter SET n = n - 1 WHERE key = old.state;
	UPDATE counter SET n = n + 1 WHERE key = new.state;
END;
CREATE TRIGGER orders_insert AFTER INSERT ON orders BEGIN
	UPDATE counter SET n = n + 1 WHERE key = 'orders-open';
END;
CREATE TRIGGER orders_end AFTER UPDATE OF ended_at ON orders
	WHEN old.ended_at IS NULL AND new.ended_at IS NOT NULL BEGIN
	UPDATE counter SET n = n - 1 WHERE key = 'orders-open';
END;
