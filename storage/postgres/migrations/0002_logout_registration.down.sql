DROP TABLE logout_deliveries;
DROP TABLE session_clients;
ALTER TABLE interactions DROP COLUMN source;
DROP INDEX clients_expires;
ALTER TABLE clients DROP COLUMN backchannel;
ALTER TABLE clients DROP COLUMN expires;
