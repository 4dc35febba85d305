-- What operators should know of: open until its cause is gone, told through hook and webhook.

CREATE TABLE alert (
	id INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,          -- an edge, a CA; '' when there is one only
	source TEXT NOT NULL,           -- who saw it last: 'store', or an issuer
	severity TEXT NOT NULL,         -- warning, critical
	detail TEXT NOT NULL,
	opened_at INTEGER NOT NULL,
	seen_at INTEGER NOT NULL,
	closed_at INTEGER,
	tell_at INTEGER,                -- when somebody is to tell of the last change; NULL: it was told
	tries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX alert_tell ON alert (tell_at) WHERE tell_at IS NOT NULL;
CREATE INDEX alert_closed ON alert (closed_at) WHERE closed_at IS NOT NULL;
