-- The archive: data and metadata of old months may stand in a backup. Their
-- rows stay, with everything that is looked for.

-- null: it is archived, and metadata with it
ALTER TABLE event_store.events ALTER COLUMN data DROP NOT NULL;

-- where months keep a constraint of their own when the whole loses its own
ALTER TABLE event_store.events_default ALTER COLUMN data DROP NOT NULL;

-- One row a step: together they are the positions from 1 on, without a gap.
CREATE TABLE event_store.archives (
  -- last position
  until_position bigint PRIMARY KEY,
  -- position before the first
  after_position bigint NOT NULL UNIQUE CHECK (after_position >= 0 AND after_position < until_position),
  -- its first day, in UTC
  month date NOT NULL,
  -- the backup that has what is missing here, and the end of its chain of hashes
  backup text COLLATE "C" NOT NULL,
  chain text COLLATE "C" NOT NULL,
  -- how many events, and the digest of which ones
  events bigint NOT NULL CHECK (events = until_position - after_position),
  digest text COLLATE "C" NOT NULL CHECK (digest ~ '^[0-9a-f]{16}$'),
  bytes_freed bigint NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Of an archived event the metadata are not {}, they are not here.
CREATE OR REPLACE VIEW event_store.events_jsonb AS
SELECT position, stream, split_part(stream, '-', 1) AS category, revision, id, type, version, data::jsonb AS data,
  CASE WHEN data IS NOT NULL THEN coalesce(metadata, '{}')::jsonb END AS metadata, coalesce(tags, '{}') AS tags, recorded_at
FROM event_store.events;
