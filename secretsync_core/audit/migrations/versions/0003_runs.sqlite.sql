CREATE TABLE run_requests (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    store TEXT NOT NULL
        CONSTRAINT store CHECK (length(store) >= 1 AND length(store) <= 128 AND store NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    kind TEXT NOT NULL CONSTRAINT kind CHECK (length(kind) >= 1 AND length(kind) <= 40 AND kind NOT GLOB '*[^a-z-]*'),
    requests BIGINT NOT NULL CONSTRAINT requests CHECK (requests > 0),
    PRIMARY KEY (job, seq, store, kind)
);

CREATE TRIGGER run_requests_no_update BEFORE UPDATE ON run_requests BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER run_requests_no_delete BEFORE DELETE ON run_requests BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE item_state (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    item TEXT NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    in_sync SMALLINT NOT NULL CONSTRAINT in_sync CHECK (in_sync IN (0, 1)),
    run TEXT NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    since BIGINT NOT NULL CONSTRAINT since CHECK (since > 0),
    PRIMARY KEY (job, item)
);

CREATE TABLE checks (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    run TEXT NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    drifted BIGINT NOT NULL CONSTRAINT drifted CHECK (drifted >= 0),
    PRIMARY KEY (job)
);

CREATE TABLE drift (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    dest TEXT NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    key TEXT NOT NULL
        CONSTRAINT key CHECK (length(key) <= 2048 AND key NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    item TEXT NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    kind TEXT NOT NULL CONSTRAINT kind CHECK (kind = 'changed' OR kind = 'removed'),
    run TEXT NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    found BIGINT NOT NULL CONSTRAINT found CHECK (found > 0),
    PRIMARY KEY (job, dest, key)
);
