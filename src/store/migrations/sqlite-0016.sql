-- compatible from 13
-- Which program an issuer is, and of when that is known: stores that do not know these columns
-- leave them alone.  What one of those confirmed last may be another program's.
ALTER TABLE issuer ADD COLUMN software TEXT NOT NULL DEFAULT '';   -- 'certherd/0.2.0'
ALTER TABLE issuer ADD COLUMN software_at INTEGER NOT NULL DEFAULT 0; -- holds while it is confirmed_at

-- How many have failed for whom, of those that somebody must act on: most of these may be names that
-- have not failed.  (The state is in it, or SQLite would look for that in each row.)
CREATE INDEX name_failed ON name (actor, state) WHERE state = 'failed';
