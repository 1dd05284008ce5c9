CREATE TABLE ledger (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    event TEXT COLLATE "C" NOT NULL
        CONSTRAINT event CHECK (event = 'run-started' OR event = 'run-finished' OR event = 'intended' OR event = 'done' OR event = 'failed' OR event = 'skipped'),
    run TEXT COLLATE "C" NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run !~ '[^0-9A-Za-z._:/@-]'),
    intent TEXT COLLATE "C" NOT NULL CONSTRAINT intent CHECK (length(intent) <= 128 AND intent !~ '[^0-9A-Za-z._:/@-]'),
    item TEXT COLLATE "C" NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item !~ '[^0-9A-Za-z._:/@-]'),
    dest TEXT COLLATE "C" NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest !~ '[^0-9A-Za-z._:/@-]'),
    key TEXT COLLATE "C" NOT NULL CONSTRAINT key CHECK (length(key) <= 2048 AND key !~ '[\x01-\x1f\x7f-\x9f]'),
    action TEXT COLLATE "C" NOT NULL
        CONSTRAINT action CHECK (action = '' OR action = 'create' OR action = 'update' OR action = 'delete'),
    reason TEXT COLLATE "C" NOT NULL CONSTRAINT reason CHECK (length(reason) <= 40 AND reason !~ '[^a-z-]'),
    source TEXT COLLATE "C" NOT NULL CONSTRAINT source CHECK (length(source) <= 128 AND source !~ '[^0-9A-Za-z._:/@-]'),
    source_key TEXT COLLATE "C" NOT NULL
        CONSTRAINT source_key CHECK (length(source_key) <= 2048 AND source_key !~ '[\x01-\x1f\x7f-\x9f]'),
    source_version TEXT COLLATE "C"
        CONSTRAINT source_version CHECK (source_version IS NULL OR length(source_version) <= 256
        AND source_version !~ '[^ -~]'),
    dest_version TEXT COLLATE "C"
        CONSTRAINT dest_version CHECK (dest_version IS NULL OR length(dest_version) <= 256 AND dest_version !~ '[^ -~]'),
    definition BYTEA NOT NULL CONSTRAINT definition CHECK (TRUE AND (length(definition) = 0 OR length(definition) = 32)),
    fingerprint BYTEA NOT NULL
        CONSTRAINT fingerprint CHECK (TRUE AND (length(fingerprint) = 0 OR length(fingerprint) = 32)),
    owned SMALLINT NOT NULL CONSTRAINT owned CHECK (owned IN (0, 1)),
    fields BYTEA NOT NULL CONSTRAINT fields CHECK (TRUE AND length(fields) % 8 = 0 AND length(fields) <= 8192),
    counts TEXT COLLATE "C" NOT NULL
        CONSTRAINT counts CHECK (counts = '' OR length(counts) <= 400 AND (' ' || counts || ' ') !~ '[ ][^a-z]'
        AND (' ' || counts || ' ') !~ '[a-z-][^a-z=-]' AND (' ' || counts || ' ') !~ '[=][^0-9]'
        AND (' ' || counts || ' ') !~ '[0-9][^0-9 ]'
        AND (' ' || counts || ' ') !~ '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
        AND (' ' || counts || ' ') !~ '[a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-][a-z-]'),
    previous BYTEA NOT NULL CONSTRAINT previous CHECK (TRUE AND (length(previous) = 32)),
    hash BYTEA NOT NULL CONSTRAINT hash CHECK (TRUE AND (length(hash) = 32)),
    PRIMARY KEY (job, seq)
);

CREATE INDEX runs ON ledger (job, event, seq) WHERE event IN ('run-started', 'run-finished');

CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;

CREATE TRIGGER ledger_no_change
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE heads (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    ordinal BIGINT NOT NULL,
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 0),
    hash BYTEA NOT NULL CONSTRAINT hash CHECK (TRUE AND (length(hash) = 32)),
    seal BYTEA NOT NULL CONSTRAINT seal CHECK (TRUE AND (length(seal) = 32)),
    PRIMARY KEY (job)
);

CREATE TABLE current (
    job TEXT COLLATE "C" NOT NULL CONSTRAINT job CHECK (length(job) <= 128),
    dest TEXT COLLATE "C" NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128),
    key TEXT COLLATE "C" NOT NULL CONSTRAINT key CHECK (length(key) <= 2048),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    source_version TEXT COLLATE "C" CONSTRAINT source_version CHECK (length(source_version) <= 256),
    dest_version TEXT COLLATE "C" CONSTRAINT dest_version CHECK (length(dest_version) <= 256),
    definition BYTEA NOT NULL CONSTRAINT definition CHECK (TRUE AND (length(definition) = 0 OR length(definition) = 32)),
    owned SMALLINT NOT NULL CONSTRAINT owned CHECK (owned IN (0, 1)),
    item TEXT COLLATE "C" NOT NULL CONSTRAINT item CHECK (length(item) <= 128),
    fingerprint BYTEA NOT NULL
        CONSTRAINT fingerprint CHECK (TRUE AND (length(fingerprint) = 0 OR length(fingerprint) = 32)),
    fields BYTEA NOT NULL CONSTRAINT fields CHECK (TRUE AND length(fields) % 8 = 0 AND length(fields) <= 8192),
    PRIMARY KEY (job, dest, key)
);

CREATE TABLE leases (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    holder TEXT COLLATE "C" NOT NULL
        CONSTRAINT holder CHECK (length(holder) >= 1 AND length(holder) <= 128 AND holder !~ '[^0-9A-Za-z._:/@-]'),
    acquired BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (job)
);

CREATE TABLE meta (
    name TEXT COLLATE "C" NOT NULL
        CONSTRAINT name CHECK (length(name) >= 1 AND length(name) <= 128 AND name !~ '[^0-9A-Za-z._:/@-]'),
    value TEXT COLLATE "C" NOT NULL
        CONSTRAINT value CHECK (length(value) >= 1 AND length(value) <= 128 AND value !~ '[^0-9A-Za-z._:/@-]'),
    seal BYTEA NOT NULL CONSTRAINT seal CHECK (TRUE AND (length(seal) = 32)),
    PRIMARY KEY (name)
);
