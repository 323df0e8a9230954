-- Times are microseconds since the Unix epoch. Absent texts in the audit log are '', so that the
-- canonical form of a row has one spelling.

CREATE TABLE audit (
    seq          INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    call         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    role         TEXT NOT NULL,
    door         TEXT NOT NULL,
    operation    TEXT NOT NULL,
    target       TEXT NOT NULL,
    approval     TEXT NOT NULL,
    code         TEXT NOT NULL,
    milliseconds INTEGER NOT NULL,
    detail       TEXT NOT NULL,
    prev         BLOB NOT NULL,
    hash         BLOB NOT NULL
) STRICT;

CREATE INDEX audit_at ON audit (at);

-- The newest row, under the chain's key: rows cut off the end are missed even before the next checkpoint.
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mac  BLOB NOT NULL
) STRICT;

-- Calls that have started and not ended. `owner` is the process, which holds a lock file of that name.
CREATE TABLE open_call (
    call      TEXT PRIMARY KEY,
    owner     TEXT NOT NULL,
    approval  TEXT,
    actor     TEXT NOT NULL,
    operation TEXT NOT NULL,
    target    TEXT NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE TABLE approval (
    id                 TEXT PRIMARY KEY,
    call               TEXT NOT NULL,
    call_key           TEXT NOT NULL,
    operation          TEXT NOT NULL,
    effect             TEXT NOT NULL,
    arguments          TEXT NOT NULL,
    target             TEXT NOT NULL,
    target_text        TEXT NOT NULL,
    preview            TEXT NOT NULL,
    preview_hash       TEXT NOT NULL,
    schema_hash        TEXT NOT NULL,
    policy_version     TEXT NOT NULL,
    digest             TEXT NOT NULL,
    actor              TEXT NOT NULL,
    reason             TEXT,
    state              TEXT NOT NULL,
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    decided_by         TEXT,
    decided_at         INTEGER,
    decision_reason    TEXT,
    amended_by         TEXT,
    proposed_arguments TEXT,
    supersedes         TEXT,
    superseded_by      TEXT,
    consumed_at        INTEGER,
    finished_at        INTEGER,
    result             TEXT,
    returned_at        INTEGER,
    owner              TEXT
) STRICT;

CREATE INDEX approval_open ON approval (state) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_call_key ON approval (call_key);
-- One actor's call waits once.
CREATE UNIQUE INDEX approval_pending ON approval (call_key) WHERE state = 'pending';

CREATE TABLE access_grant (
    id         TEXT PRIMARY KEY,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    operations TEXT NOT NULL,
    target     TEXT NOT NULL,
    uses       INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    reason     TEXT
) STRICT;

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
