CREATE TABLE run_requests (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    store TEXT COLLATE "C" NOT NULL
        CONSTRAINT store CHECK (length(store) >= 1 AND length(store) <= 128 AND store !~ '[^0-9A-Za-z._:/@-]'),
    kind TEXT COLLATE "C" NOT NULL
        CONSTRAINT kind CHECK (length(kind) >= 1 AND length(kind) <= 40 AND kind !~ '[^a-z-]'),
    requests BIGINT NOT NULL CONSTRAINT requests CHECK (requests > 0),
    PRIMARY KEY (job, seq, store, kind)
);

CREATE TRIGGER run_requests_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON run_requests FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE item_state (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    item TEXT COLLATE "C" NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item !~ '[^0-9A-Za-z._:/@-]'),
    in_sync SMALLINT NOT NULL CONSTRAINT in_sync CHECK (in_sync IN (0, 1)),
    run TEXT COLLATE "C" NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run !~ '[^0-9A-Za-z._:/@-]'),
    since BIGINT NOT NULL CONSTRAINT since CHECK (since > 0),
    PRIMARY KEY (job, item)
);

CREATE TABLE checks (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    run TEXT COLLATE "C" NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run !~ '[^0-9A-Za-z._:/@-]'),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    drifted BIGINT NOT NULL CONSTRAINT drifted CHECK (drifted >= 0),
    PRIMARY KEY (job)
);

CREATE TABLE drift (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    dest TEXT COLLATE "C" NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest !~ '[^0-9A-Za-z._:/@-]'),
    key TEXT COLLATE "C" NOT NULL CONSTRAINT key CHECK (length(key) <= 2048 AND key !~ '[\x01-\x1f\x7f-\x9f]'),
    item TEXT COLLATE "C" NOT NULL CONSTRAINT item CHECK (length(item) <= 128 AND item !~ '[^0-9A-Za-z._:/@-]'),
    kind TEXT COLLATE "C" NOT NULL CONSTRAINT kind CHECK (kind = 'changed' OR kind = 'removed'),
    run TEXT COLLATE "C" NOT NULL
        CONSTRAINT run CHECK (length(run) >= 1 AND length(run) <= 128 AND run !~ '[^0-9A-Za-z._:/@-]'),
    found BIGINT NOT NULL CONSTRAINT found CHECK (found > 0),
    PRIMARY KEY (job, dest, key)
);
