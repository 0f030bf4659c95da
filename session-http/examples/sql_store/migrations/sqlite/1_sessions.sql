CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    -- Each write sets a new one.
    tag INTEGER NOT NULL,
    -- A renewal changes it. From then on, requests that loaded the old one find the session gone.
    epoch INTEGER NOT NULL,
    -- Milliseconds since 1970.
    expires INTEGER NOT NULL,
    -- Bytes, since a principal may be any text.
    principal BLOB,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX sessions_by_principal ON sessions (principal) WHERE principal IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires);
