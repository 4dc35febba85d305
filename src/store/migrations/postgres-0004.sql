-- compatible from 3
-- As sqlite-0014.sql, where the columns are explained.
CREATE TABLE issuer (
	id text COLLATE "C" PRIMARY KEY,
	says text COLLATE "C" NOT NULL,
	changed_at bigint NOT NULL,
	confirmed_at bigint NOT NULL
);
