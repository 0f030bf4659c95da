CREATE TABLE sessions (
    id BYTEA PRIMARY KEY,
    -- Each write sets a new one.
    tag BIGINT NOT NULL,
    -- A renewal changes it. From then on, requests that loaded the old one find the session gone.
    epoch BIGINT NOT NULL,
    -- Milliseconds since 1970.
    expires BIGINT NOT NULL,
    -- Bytes, since a principal may be any text, and Postgres refuses U+0000 in a TEXT.
    principal BYTEA,
    record BYTEA NOT NULL
);
CREATE INDEX sessions_by_principal ON sessions (principal) WHERE principal IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires);
