CREATE TABLE places (
    job TEXT NOT NULL
        CONSTRAINT job CHECK (length(job) >= 1 AND length(job) <= 128 AND job NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    dest TEXT NOT NULL CONSTRAINT dest CHECK (length(dest) <= 128 AND dest NOT GLOB '*[^0-9A-Za-z._:/@-]*'),
    place TEXT NOT NULL
        CONSTRAINT place CHECK (length(place) <= 2048 AND place NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    seq BIGINT NOT NULL CONSTRAINT seq CHECK (seq >= 1),
    PRIMARY KEY (job, dest)
);

CREATE TABLE positions (
    place TEXT NOT NULL
        CONSTRAINT place CHECK (length(place) <= 2048 AND place NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    position TEXT NOT NULL CONSTRAINT position CHECK (length(position) <= 256 AND position NOT GLOB '*[^ -~]*'),
    time BIGINT NOT NULL CONSTRAINT time CHECK (time > 0),
    PRIMARY KEY (place)
);
