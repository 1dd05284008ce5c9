CREATE TABLE ledger (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    event TEXT NOT NULL
        CONSTRAINT event CHECK (event = 'run-started' OR event = 'run-finished' OR event = 'intended' OR event = 'done' OR event = 'failed' OR event = 'skipped'),
    run TEXT NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    intent TEXT NOT NULL CONSTRAINT intent CHECK (length(intent) <= 128 AND intent NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    item TEXT NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    dest TEXT NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    key TEXT NOT NULL
        CONSTRAINT key CHECK (length(key) <= 2048
        AND key NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    action TEXT NOT NULL
        CONSTRAINT action CHECK (action = '' OR action = 'create' OR action = 'update' OR action = 'delete'),
    reason TEXT NOT NULL CONSTRAINT reason CHECK (length(reason) <= 40 AND reason NOT GLOB '*[^a-z-]*'),
    source TEXT NOT NULL CONSTRAINT source CHECK (length(source) <= 128 AND source NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    source_key TEXT NOT NULL
        CONSTRAINT source_key CHECK (length(source_key) <= 2048
        AND source_key NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    source_version TEXT
        CONSTRAINT source_version CHECK (source_version IS NULL OR length(source_version) <= 256
        AND source_version NOT GLOB '*[^ -~]*'),
    dest_version TEXT
        CONSTRAINT dest_version CHECK (dest_version IS NULL OR length(dest_version) <= 256
        AND dest_version NOT GLOB '*[^ -~]*'),
    definition BLOB NOT NULL
        CONSTRAINT definition CHECK (typeof(definition) = 'blob'
        AND (length(definition) = 0 OR length(definition) = 32)),
    fingerprint BLOB NOT NULL
        CONSTRAINT fingerprint CHECK (typeof(fingerprint) = 'blob'
        AND (length(fingerprint) = 0 OR length(fingerprint) = 32)),
    owned SMALLINT NOT NULL CONSTRAINT owned CHECK (owned IN (0, 1)),
    fields BLOB NOT NULL
        CONSTRAINT fields CHECK (typeof(fields) = 'blob' AND length(fields) % 8 = 0 AND length(fields) <= 8192),
    counts TEXT NOT NULL
        CONSTRAINT counts CHECK (counts = '' OR length(counts) <= 400 AND (' ' || counts || ' ') NOT GLOB '*[ ][^a-z]*'
        AND (' ' || counts || ' ') NOT GLOB '*[a-z-][^a-z=-]*' AND (' ' || counts || ' ') NOT GLOB '*[=][^0-9]*'
        AND (' ' || counts || ' ') NOT GLOB '*[0-9][^0-9 ]*'
        AND (' ' || counts || ' ') NOT GLOB '*[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        AND (' ' || counts || ' ') NOT GLOB '*[a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-]*'),
    previous BLOB NOT NULL CONSTRAINT previous CHECK (typeof(previous) = 'blob' AND (length(previous) = 32)),
    hash BLOB NOT NULL CONSTRAINT hash CHECK (typeof(hash) = 'blob' AND (length(hash) = 32)),
    PRIMARY KEY (job, seq)
);

CREATE INDEX runs ON ledger (job, event, seq) WHERE event IN ('run-started', 'run-finished');

CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE heads (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    ordinal BIGINT NOT NULL,
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 0),
    hash BLOB NOT NULL CONSTRAINT hash CHECK (typeof(hash) = 'blob' AND (length(hash) = 32)),
    seal BLOB NOT NULL CONSTRAINT seal CHECK (typeof(seal) = 'blob' AND (length(seal) = 32)),
    PRIMARY KEY (job)
);

CREATE TABLE current (
    job TEXT NOT NULL CONSTRAINT job CHECK (length(job) <= 128),
    dest TEXT NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128),
    key TEXT NOT NULL CONSTRAINT key CHECK (length(key) <= 2048),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    source_version TEXT CONSTRAINT source_version CHECK (length(source_version) <= 256),
    dest_version TEXT CONSTRAINT dest_version CHECK (length(dest_version) <= 256),
    definition BLOB NOT NULL
        CONSTRAINT definition CHECK (typeof(definition) = 'blob'
        AND (length(definition) = 0 OR length(definition) = 32)),
    owned SMALLINT NOT NULL CONSTRAINT owned CHECK (owned IN (0, 1)),
    item TEXT NOT NULL CONSTRAINT item CHECK (length(item) <= 128),
    fingerprint BLOB NOT NULL
        CONSTRAINT fingerprint CHECK (typeof(fingerprint) = 'blob'
        AND (length(fingerprint) = 0 OR length(fingerprint) = 32)),
    fields BLOB NOT NULL
        CONSTRAINT fields CHECK (typeof(fields) = 'blob' AND length(fields) % 8 = 0 AND length(fields) <= 8192),
    PRIMARY KEY (job, dest, key)
) WITHOUT ROWID;

CREATE TABLE leases (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    holder TEXT NOT NULL
        CONSTRAINT holder CHECK (length(holder) >= 1 AND length(holder) <= 128
        AND holder NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    acquired BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (job)
);

CREATE TABLE meta (
    name TEXT NOT NULL
        CONSTRAINT name CHECK (length(name) >= 1 AND length(name) <= 128 AND name NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    value TEXT NOT NULL
        CONSTRAINT value CHECK (length(value) >= 1 AND length(value) <= 128 AND value NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    seal BLOB NOT NULL CONSTRAINT seal CHECK (typeof(seal) = 'blob' AND (length(seal) = 32)),
    PRIMARY KEY (name)
);
