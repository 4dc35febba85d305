-- compatible from 3
-- As sqlite-0016.sql, where all is explained.
ALTER TABLE issuer ADD COLUMN software text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE issuer ADD COLUMN software_at bigint NOT NULL DEFAULT 0;

CREATE INDEX name_failed ON name (actor, state) WHERE state = 'failed';
