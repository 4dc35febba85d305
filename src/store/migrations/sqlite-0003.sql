-- The keys of session tickets, sealed to the edges: for each pool its newest TICKETS record
-- (src/wire/record.h).  A table of their own, and nothing else in it, so that a backup can leave
-- them out: whoever finds an old one with an edge's key must not read visitors' sessions with it.
-- Lost rows do no harm, the issuer makes new keys.

CREATE TABLE ticket_set (
	pool TEXT PRIMARY KEY,
	seq INTEGER NOT NULL,          -- of the feed, as in edge_record
	version INTEGER NOT NULL,
	until_s INTEGER NOT NULL,      -- Unix seconds: the last of its keys is of use before then
	record BLOB NOT NULL
) STRICT, WITHOUT ROWID;
