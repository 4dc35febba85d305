-- compatible from 13
-- What each issuer says with its leases: its accounts, limits and CAs, the DNS records that it needs.
-- Of several stores each can answer by it, whichever the issuer leases from.  Stores that do not know
-- this table leave it alone: what an issuer tells only them is not in it.
CREATE TABLE issuer (
	id TEXT PRIMARY KEY,           -- 'issuer/default/i1'
	says TEXT NOT NULL,            -- JSON, parts of the body of POST /v1/leases
	changed_at INTEGER NOT NULL,   -- since when it says so
	confirmed_at INTEGER NOT NULL  -- when it last said so, to some minutes
) STRICT, WITHOUT ROWID;
