"""The tables, as numbered migrations: position n brings a database from version n to n + 1.

A migration that has been released is never edited; a change is a new entry at the end.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE walks (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,  -- an id is never given twice
        title        TEXT    NOT NULL CHECK (length(title) BETWEEN 1 AND 120),
        summary      TEXT    NOT NULL CHECK (length(summary) <= 500),
        description  TEXT    NOT NULL CHECK (length(description) <= 20000),
        region       TEXT    NOT NULL CHECK (length(region) BETWEEN 1 AND 80),
        difficulty   TEXT    NOT NULL CHECK (difficulty IN ('easy', 'moderate', 'hard')),
        distance_km  REAL    NOT NULL CHECK (distance_km BETWEEN 0.1 AND 500),
        duration_min INTEGER NOT NULL CHECK (duration_min BETWEEN 1 AND 10000),
        ascent_m     INTEGER NOT NULL CHECK (ascent_m BETWEEN 0 AND 9000),
        walked_on    TEXT,
        created      TEXT    NOT NULL,
        updated      TEXT    NOT NULL,
        searchable   TEXT    NOT NULL  -- the words above without case and accents
    ) STRICT;
    CREATE INDEX walks_by_region ON walks (region);

    CREATE TABLE attachments (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        walk_id  INTEGER NOT NULL REFERENCES walks (id) ON DELETE CASCADE,
        kind     TEXT    NOT NULL CHECK (kind IN ('image', 'document')),
        ending   TEXT    NOT NULL CHECK (ending IN ('jpg', 'png', 'webp', 'pdf', 'gpx')),
        sha256   TEXT    NOT NULL CHECK (length(sha256) = 64),
        bytes    INTEGER NOT NULL CHECK (bytes > 0),
        width    INTEGER,
        height   INTEGER,
        name     TEXT    NOT NULL,  -- what the visitor called it: shown as text, never used as a path
        created  TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX attachments_by_walk ON attachments (walk_id);
    CREATE INDEX attachments_by_digest ON attachments (sha256);

    CREATE TABLE heartbeat (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        at TEXT NOT NULL
    ) STRICT;

    -- the one thing the backup reads besides the database itself: every file some row needs
    CREATE VIEW upload_paths (path, sha256) AS
        SELECT DISTINCT kind || 's/' || sha256 || '.' || ending, sha256 FROM attachments;
    """,
)

VERSION = len(MIGRATIONS)
