-- compatible from the one before
-- What a next version may add while older stores work on the database: tables, columns that have a
-- default, indexes.
ALTER TABLE alert ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE audit ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE bucket ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE ca ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE canary_mark ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE cert ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE cert_name ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE chain ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE claim_salt ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE counter ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE edge ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE edge_record ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE held ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE history ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE holder ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE issuer ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE meta ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE name ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE order_name ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE orders ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE pool ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE rekey ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE renewal_slot ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE standby_default ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE ticket_set ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE turn ADD COLUMN next bigint NOT NULL DEFAULT 7;
ALTER TABLE waiting ADD COLUMN next bigint NOT NULL DEFAULT 7;
CREATE INDEX name_next ON name (next);
CREATE TABLE next_table (
	one bigint PRIMARY KEY
);
