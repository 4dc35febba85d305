-- Two certificates for a name: with an ECDSA key, and a second one with an RSA key for clients that
-- cannot use the first.  Names from before go on with one.

ALTER TABLE name ADD COLUMN keys TEXT NOT NULL DEFAULT 'ecdsa'; -- or 'rsa', 'ecdsa+rsa'
ALTER TABLE name ADD COLUMN cert_key TEXT NOT NULL DEFAULT 'ecdsa'; -- of the live certificate
ALTER TABLE name ADD COLUMN second_cert INTEGER;      -- live second certificate
ALTER TABLE name ADD COLUMN second_prev INTEGER;      -- the one before
ALTER TABLE name ADD COLUMN second_at INTEGER;        -- as next_at; NULL: none is wanted, or paused
ALTER TABLE name ADD COLUMN second_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE name ADD COLUMN second_code TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE name ADD COLUMN second_actor TEXT NOT NULL DEFAULT 'nobody';
-- The second comes after the first, and not while that one fails.
CREATE INDEX name_second_due ON name (second_at) WHERE order_id IS NULL AND second_at IS NOT NULL
	AND cert IS NOT NULL AND failures = 0;

ALTER TABLE orders ADD COLUMN key TEXT NOT NULL DEFAULT 'ecdsa'; -- or 'rsa'
ALTER TABLE orders ADD COLUMN second INTEGER NOT NULL DEFAULT 0; -- 1: brings the second certificate

ALTER TABLE cert ADD COLUMN key TEXT NOT NULL DEFAULT 'ecdsa'; -- for when it is put back

-- Second certificates wait for a canary as the others do.
DROP INDEX held_plain;
CREATE INDEX held_plain ON held (pool, seq) WHERE kind NOT IN (2, 4, 6);
