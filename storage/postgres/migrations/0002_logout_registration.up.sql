-- expires: when the client is purged, 0 for never. backchannel: the client's data holds a backchannel_logout_uri; until now none could.
ALTER TABLE clients ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN backchannel BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX clients_expires ON clients (expires) WHERE expires <> 0;

ALTER TABLE interactions ADD COLUMN source TEXT NOT NULL DEFAULT '';

CREATE TABLE session_clients (
	session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	client_id  TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (session_id, client_id)
);

-- due keeps what next_attempt was before a claim moved it: UPDATE ... RETURNING answers in no order.
CREATE TABLE logout_deliveries (
	id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	client_id    TEXT COLLATE "C" NOT NULL,
	subject      TEXT COLLATE "C" NOT NULL,
	session_id   TEXT COLLATE "C" NOT NULL,
	created      BIGINT           NOT NULL,
	next_attempt BIGINT           NOT NULL,
	due          BIGINT           NOT NULL,
	expires      BIGINT           NOT NULL,
	attempts     INTEGER          NOT NULL
);
CREATE INDEX logout_deliveries_next_attempt ON logout_deliveries (next_attempt, id);
CREATE INDEX logout_deliveries_client ON logout_deliveries (client_id);
CREATE INDEX logout_deliveries_expires ON logout_deliveries (expires);
