CREATE TABLE places (
    job TEXT COLLATE "C" NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job !~ '[^0-9A-Za-z._:/@-]'),
    dest TEXT COLLATE "C" NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest !~ '[^0-9A-Za-z._:/@-]'),
    place TEXT COLLATE "C" NOT NULL CONSTRAINT place CHECK (length(place) <= 2048 AND place !~ '[\x01-\x1f\x7f-\x9f]'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    PRIMARY KEY (job, dest)
);

CREATE TABLE positions (
    place TEXT COLLATE "C" NOT NULL CONSTRAINT place CHECK (length(place) <= 2048 AND place !~ '[\x01-\x1f\x7f-\x9f]'),
    position TEXT COLLATE "C" NOT NULL CONSTRAINT position CHECK (length(position) <= 256 AND position !~ '[^ -~]'),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    PRIMARY KEY (place)
);
