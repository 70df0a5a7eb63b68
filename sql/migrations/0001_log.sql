-- The log: its head, the streams, the events by month, their tags.
--
-- `event_store` stands for the name of the schema and is replaced by the
-- configured one. This file is frozen once released: a change is a new file.

-- No table that an append writes has a CHECK: each would be parsed again for
-- every statement, a fifth of what an append costs the server (measured). The
-- store checks before it sends, verify_log checks what is stored.

-- One row: how far the log has come. Read and written under the append lock only.
CREATE TABLE event_store.head (
  -- 1
  id smallint PRIMARY KEY,
  -- last position given out, 0 for an empty log; a safe integer of JavaScript
  position bigint NOT NULL,
  -- time of the last event: time never runs against position
  recorded_at timestamptz NOT NULL,
  -- latest time that an id recorded so far claims ahead of the store's clock
  id_horizon timestamptz NOT NULL DEFAULT '-infinity',
  -- id of this history: a restored or cloned store gets another
  incarnation uuid NOT NULL
) WITH (fillfactor = 10);

INSERT INTO event_store.head (id, position, recorded_at, incarnation)
VALUES (1, 0, 'epoch', gen_random_uuid());

-- One row a stream that has events.
CREATE TABLE event_store.streams (
  -- 1 to 512 bytes
  name text COLLATE "C" PRIMARY KEY,
  -- revision of the last event
  revision integer NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  -- first and last time: reads of a stream leave out the months outside
  first_recorded_at timestamptz NOT NULL,
  last_recorded_at timestamptz NOT NULL,
  -- reads of a stream begin here; the log keeps what is before
  truncate_before integer NOT NULL DEFAULT 0,
  is_tombstoned boolean NOT NULL DEFAULT false,
  metadata json NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);

-- The events, a partition a month. A partitioned table cannot enforce
-- uniqueness over all its months: append_many and append_each do under the
-- append lock, each partition enforces its own (create_events_partition), and
-- verify_log checks the whole.
CREATE TABLE event_store.events (
  -- from 1
  position bigint NOT NULL,
  stream text COLLATE "C" NOT NULL,
  -- from 0
  revision integer NOT NULL,
  id uuid NOT NULL,
  -- 1 to 512 bytes
  type text COLLATE "C" NOT NULL,
  -- version of the type's shape, from 1
  version smallint NOT NULL,
  -- json, not jsonb: keeps the exact text, and is cheaper both ways
  data json NOT NULL,
  -- null stands for {}
  metadata json,
  -- null stands for none
  tags text[] COLLATE "C",
  recorded_at timestamptz NOT NULL
) PARTITION BY RANGE (recorded_at);

-- Where the events with a tag stand; conditions and filters on tags read nothing else.
CREATE TABLE event_store.event_tags (
  tag text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  type text COLLATE "C" NOT NULL,
  PRIMARY KEY (tag, position)
);

-- Second line behind the privileges: nobody changes what is recorded.
CREATE FUNCTION event_store.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %.% refused: recorded events never change', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'ES001';
END
$$;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON event_store.events
  FOR EACH ROW EXECUTE FUNCTION event_store.refuse_change();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.events
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change();

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON event_store.event_tags
  FOR EACH ROW EXECUTE FUNCTION event_store.refuse_change();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.event_tags
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change();

-- Catches events of a month whose partition nobody made; doctor reports them.
CREATE TABLE event_store.events_default PARTITION OF event_store.events DEFAULT;

CREATE UNIQUE INDEX events_default_position ON event_store.events_default (position);

CREATE UNIQUE INDEX events_default_stream_revision ON event_store.events_default (stream, revision);

CREATE UNIQUE INDEX events_default_id ON event_store.events_default (id);

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.events_default
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change();

-- Common questions.
CREATE VIEW event_store.event_types AS
SELECT type, version, count(*) AS events, min(recorded_at) AS first_recorded_at, max(recorded_at) AS last_recorded_at
FROM event_store.events
GROUP BY type, version;

CREATE VIEW event_store.categories AS
SELECT split_part(name, '-', 1) AS category, count(*) AS streams, sum(revision + 1) AS events,
  min(first_recorded_at) AS first_recorded_at, max(last_recorded_at) AS last_recorded_at
FROM event_store.streams
GROUP BY 1;

CREATE VIEW event_store.events_jsonb AS
SELECT position, stream, split_part(stream, '-', 1) AS category, revision, id, type, version,
  data::jsonb AS data, coalesce(metadata, '{}')::jsonb AS metadata, coalesce(tags, '{}') AS tags, recorded_at
FROM event_store.events;
