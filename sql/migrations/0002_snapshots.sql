-- Snapshots: states of streams that need not be folded from the beginning.
-- Each can be made again from its events; nothing here is history.

CREATE TABLE event_store.snapshots (
  stream text COLLATE "C" NOT NULL,
  -- what the state is for: a stream may have states of several kinds
  kind text COLLATE "C" NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 512),
  -- shape and meaning of the state: programs of two versions keep theirs side by side
  fingerprint text COLLATE "C" NOT NULL CHECK (octet_length(fingerprint) = 64),
  -- last and first revision that are in the state
  revision integer NOT NULL,
  first_revision integer NOT NULL CHECK (first_revision BETWEEN 0 AND revision),
  serialization text NOT NULL,
  compression text NOT NULL,
  -- size before the compression, in bytes
  plain_bytes integer NOT NULL,
  bytes bytea NOT NULL,
  -- SHA-256 over all the rest
  digest bytea NOT NULL,
  taken_at timestamptz NOT NULL,
  -- how long the load took that led to it, in milliseconds
  load_millis double precision NOT NULL,
  PRIMARY KEY (stream, kind, fingerprint, revision)
);

-- The bytes are compressed already.
ALTER TABLE event_store.snapshots ALTER bytes SET STORAGE EXTERNAL;

CREATE INDEX snapshots_taken_at ON event_store.snapshots (taken_at);
