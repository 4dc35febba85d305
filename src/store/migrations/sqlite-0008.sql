-- Pacing of new orders under the limits of CAs.

-- Token buckets (src/pace/bucket.h); one that is not here is full.  key: 'account:CA/ACCOUNT',
-- 'domain:CA:REGISTERED-DOMAIN', 'set:CA:NAME NAME'.
CREATE TABLE bucket (
	key TEXT PRIMARY KEY,
	tat INTEGER NOT NULL,          -- Unix microseconds: when it is full again
	size INTEGER NOT NULL,         -- the limit that was kept to last
	refill INTEGER NOT NULL,       -- microseconds
	tail INTEGER NOT NULL          -- Unix milliseconds: the last turn that was promised
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_full ON bucket (tat);

-- Names that wait for the account's bucket.
CREATE TABLE waiting (
	name TEXT PRIMARY KEY,
	class INTEGER NOT NULL,        -- enum ch_class (src/pace/scheduler.h)
	tenant TEXT NOT NULL,
	since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_turn ON waiting (class, tenant, since);

-- Tenants in turn: who was served longest ago is next.
CREATE TABLE turn (
	class INTEGER NOT NULL,
	tenant TEXT NOT NULL,
	n INTEGER NOT NULL,            -- its rows of waiting
	served INTEGER NOT NULL,
	PRIMARY KEY (class, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_next ON turn (class, served) WHERE n > 0;

INSERT OR IGNORE INTO counter VALUES ('waiting', 0);
CREATE TRIGGER waiting_insert AFTER INSERT ON waiting BEGIN
	INSERT INTO turn VALUES (new.class, new.tenant, 1, 0)
		ON CONFLICT (class, tenant) DO UPDATE SET n = n + 1;
	UPDATE counter SET n = n + 1 WHERE key = 'waiting';
END;
CREATE TRIGGER waiting_delete AFTER DELETE ON waiting BEGIN
	UPDATE turn SET n = n - 1 WHERE class = old.class AND tenant = old.tenant;
	UPDATE counter SET n = n - 1 WHERE key = 'waiting';
END;

-- 1: it came with many others, and they come after those that came alone.
ALTER TABLE name ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;
-- Under which account its tokens were taken; NULL: it was not paced.
ALTER TABLE orders ADD COLUMN paced TEXT;
