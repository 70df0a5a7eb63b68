// Generated from sql/ by bin/build-sql.mjs: do not edit.

/** A file of `sql/`, one statement an element. */
export interface SqlFile {
  readonly name: string
  readonly checksum: string
  readonly statements: ReadonlyArray<string>
}

/** Forward only, in order, each once. */
export const migrations: ReadonlyArray<SqlFile> = [
  {
    name: "0001_log",
    checksum: "a4f120ff4fd3913c",
    statements: [
      `CREATE TABLE event_store.head (
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
) WITH (fillfactor = 10)`,
      `INSERT INTO event_store.head (id, position, recorded_at, incarnation)
VALUES (1, 0, 'epoch', gen_random_uuid())`,
      `CREATE TABLE event_store.streams (
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
) WITH (fillfactor = 70)`,
      `CREATE TABLE event_store.events (
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
) PARTITION BY RANGE (recorded_at)`,
      `CREATE TABLE event_store.event_tags (
  tag text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  type text COLLATE "C" NOT NULL,
  PRIMARY KEY (tag, position)
)`,
      `CREATE FUNCTION event_store.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %.% refused: recorded events never change', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'ES001';
END
$$`,
      `CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON event_store.events
  FOR EACH ROW EXECUTE FUNCTION event_store.refuse_change()`,
      `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.events
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change()`,
      `CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON event_store.event_tags
  FOR EACH ROW EXECUTE FUNCTION event_store.refuse_change()`,
      `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.event_tags
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change()`,
      `CREATE TABLE event_store.events_default PARTITION OF event_store.events DEFAULT`,
      `CREATE UNIQUE INDEX events_default_position ON event_store.events_default (position)`,
      `CREATE UNIQUE INDEX events_default_stream_revision ON event_store.events_default (stream, revision)`,
      `CREATE UNIQUE INDEX events_default_id ON event_store.events_default (id)`,
      `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_store.events_default
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change()`,
      `CREATE VIEW event_store.event_types AS
SELECT type, version, count(*) AS events, min(recorded_at) AS first_recorded_at, max(recorded_at) AS last_recorded_at
FROM event_store.events
GROUP BY type, version`,
      `CREATE VIEW event_store.categories AS
SELECT split_part(name, '-', 1) AS category, count(*) AS streams, sum(revision + 1) AS events,
  min(first_recorded_at) AS first_recorded_at, max(last_recorded_at) AS last_recorded_at
FROM event_store.streams
GROUP BY 1`,
      `CREATE VIEW event_store.events_jsonb AS
SELECT position, stream, split_part(stream, '-', 1) AS category, revision, id, type, version,
  data::jsonb AS data, coalesce(metadata, '{}')::jsonb AS metadata, coalesce(tags, '{}') AS tags, recorded_at
FROM event_store.events`
    ]
  },
  {
    name: "0002_snapshots",
    checksum: "fd9441e227271ca4",
    statements: [
      `CREATE TABLE event_store.snapshots (
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
)`,
      `ALTER TABLE event_store.snapshots ALTER bytes SET STORAGE EXTERNAL`,
      `CREATE INDEX snapshots_taken_at ON event_store.snapshots (taken_at)`
    ]
  },
  {
    name: "0003_projections",
    checksum: "7255100137f46670",
    statements: [
      `CREATE TABLE event_store.projections (
  name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
  -- a new version builds beside the old one
  version smallint NOT NULL CHECK (version > 0),
  -- what it reads and makes; another one under the same version is refused
  definition text NOT NULL,
  -- halted: by a failure, until it is started anew
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'halted')),
  -- whether its tables were made
  is_set_up boolean NOT NULL DEFAULT false,
  -- every matching event up to here was seen, in this history
  position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
  incarnation uuid NOT NULL,
  -- how many events were seen, and the digest of which ones
  events bigint NOT NULL DEFAULT 0,
  digest text NOT NULL DEFAULT '0000000000000000' CHECK (digest ~ '^[0-9a-f]{16}$'),
  -- the newest lease: a commit of an older epoch changes nothing
  epoch bigint NOT NULL DEFAULT 0,
  owner text,
  leased_until timestamptz,
  -- failures: how many, and the last one
  failures bigint NOT NULL DEFAULT 0,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  failed_position bigint,
  failure text,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, version)
) WITH (fillfactor = 20)`,
      `CREATE TABLE event_store.projection_states (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  -- empty for the one state of a projection without keys
  key text COLLATE "C" NOT NULL CHECK (octet_length(key) <= 512),
  state json NOT NULL,
  PRIMARY KEY (projection, version, key)
) WITH (fillfactor = 70)`,
      `CREATE TABLE event_store.projection_parked (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  position bigint NOT NULL,
  -- what must stay in order
  key text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  type text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  revision integer NOT NULL,
  -- 0 for an event that waits behind another
  attempts integer NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (projection, version, position)
)`
    ]
  },
  {
    name: "0004_projection_slices",
    checksum: "794c566c8d3532f7",
    statements: [
      `ALTER TABLE event_store.projections
  ADD COLUMN slice smallint NOT NULL DEFAULT 0 CHECK (slice BETWEEN 0 AND 1023),
  DROP CONSTRAINT projections_pkey,
  ADD PRIMARY KEY (name, version, slice)`,
      `ALTER TABLE event_store.projection_parked
  ADD COLUMN slice smallint NOT NULL DEFAULT 0,
  DROP CONSTRAINT projection_parked_pkey,
  ADD PRIMARY KEY (projection, version, slice, position)`,
      `CREATE TABLE event_store.projection_runners (
  owner text COLLATE "C" PRIMARY KEY CHECK (octet_length(owner) BETWEEN 1 AND 512),
  -- what it could run: version and name
  projections text[] NOT NULL,
  -- renewed as a lease is
  there_until timestamptz NOT NULL
) WITH (fillfactor = 50)`
    ]
  },
  {
    name: "0005_projection_versions",
    checksum: "43cf1ae0f7c6df11",
    statements: [
      `CREATE TABLE event_store.projection_builds (
  name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
  version smallint NOT NULL CHECK (version BETWEEN 1 AND 31999 AND version % 1000 > 0),
  -- building: nobody reads it yet; current: the one of its version that is run and read;
  -- kept: it was current before; removed: the number may be given again
  status text NOT NULL CHECK (status IN ('building', 'current', 'kept', 'removed')),
  -- whether those see it who read the projection by its name
  is_live boolean NOT NULL DEFAULT false CHECK (status = 'current' OR NOT is_live),
  -- leases of a build that takes the number again are newer than this
  epoch bigint NOT NULL DEFAULT 0,
  -- schema and name of each table that was made for it, one after the other
  tables text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- when another one took its place, and until when it is kept
  retired_at timestamptz,
  keep_until timestamptz,
  PRIMARY KEY (name, version)
)`,
      `CREATE UNIQUE INDEX projection_builds_current ON event_store.projection_builds (name, (version % 1000))
  WHERE status = 'current'`,
      `CREATE UNIQUE INDEX projection_builds_live ON event_store.projection_builds (name) WHERE is_live`,
      `INSERT INTO event_store.projection_builds (name, version, status, is_live)
  SELECT name, version, 'current', version = min(version) OVER (PARTITION BY name) FROM event_store.projections`
    ]
  },
  {
    name: "0006_projection_changes",
    checksum: "3de622dbddbc9c05",
    statements: [
      `CREATE TABLE event_store.projection_feeds (
  projection text COLLATE "C" NOT NULL,
  -- with the build, as in projections
  version smallint NOT NULL,
  -- another one after a reset: places of before are no places of it
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  -- number of the newest commit
  change bigint NOT NULL DEFAULT 0,
  -- changes of commits up to here are forgotten
  forgotten bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (projection, version)
) WITH (fillfactor = 20)`,
      `CREATE TABLE event_store.projection_changes (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  -- number of the commit
  change bigint NOT NULL,
  -- SHA-256 of table and key: one row for what was changed several times in a commit
  id bytea NOT NULL,
  -- where the checkpoint stood after the commit
  position bigint NOT NULL,
  -- name of the table; null for a state
  source text COLLATE "C",
  -- key of the state, or JSON of the row's primary key, its values as text
  key text NOT NULL,
  is_removal boolean NOT NULL,
  PRIMARY KEY (projection, version, change, id)
)`
    ]
  },
  {
    name: "0007_restores",
    checksum: "deb884c9775ac82c",
    statements: [
      `ALTER TABLE event_store.head
  -- the history that this one goes on from, and the last position that both have
  ADD COLUMN parent uuid,
  ADD COLUMN parent_position bigint,
  -- the restore that is under way, or was broken off: what is restored, how far it has come, and whose it is
  ADD COLUMN restoring jsonb`,
      `CREATE FUNCTION event_store.refuse_while_restoring() RETURNS trigger
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM head h WHERE h.restoring IS NOT NULL) THEN
    RAISE EXCEPTION 'the store is being restored, or a restore was broken off' USING ERRCODE = 'ES005';
  END IF;
  RETURN NULL;
END
$$`,
      `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.projection_builds
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring()`,
      `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.projections
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring()`,
      `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.snapshots
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring()`
    ]
  },
  {
    name: "0008_reactors_and_retention",
    checksum: "4d8f4dd45db087ed",
    statements: [
      `ALTER TABLE event_store.projections ADD COLUMN start bigint NOT NULL DEFAULT 0 CHECK (start >= 0)`,
      `ALTER TABLE event_store.projection_states ADD COLUMN changed_at timestamptz`,
      `CREATE INDEX projection_states_changed_at ON event_store.projection_states (projection, version, changed_at)
  WHERE changed_at IS NOT NULL`
    ]
  },
  {
    name: "0009_archive",
    checksum: "eab3fba37bb16c84",
    statements: [
      `ALTER TABLE event_store.events ALTER COLUMN data DROP NOT NULL`,
      `ALTER TABLE event_store.events_default ALTER COLUMN data DROP NOT NULL`,
      `CREATE TABLE event_store.archives (
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
)`,
      `CREATE OR REPLACE VIEW event_store.events_jsonb AS
SELECT position, stream, split_part(stream, '-', 1) AS category, revision, id, type, version, data::jsonb AS data,
  CASE WHEN data IS NOT NULL THEN coalesce(metadata, '{}')::jsonb END AS metadata, coalesce(tags, '{}') AS tags, recorded_at
FROM event_store.events`
    ]
  }
]

/** Made again whenever their text changed. */
export const functions: ReadonlyArray<SqlFile> = [
  {
    name: "find_recorded",
    checksum: "0cb5518b411e21f1",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.find_recorded(
  since timestamptz, request integer[], write integer[], index integer[], stream text[],
  id uuid[], type text[], version smallint[], data text[], tags text[]
)
RETURNS TABLE (
  request_no integer, write_no integer, outcome integer, revision integer, "position" bigint, last_position bigint,
  id_used uuid
)
LANGUAGE sql
SET search_path = event_store, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
  WITH asked AS (
    SELECT a.*, a.ordinality AS no
    FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY
      AS a (request, write, index, stream, id, type, version, data, tags)
  ), compared AS MATERIALIZED (
    SELECT a.request, a.write, a.no, a.id, e.position AS found_position,
      e.revision - a.index AS first_revision,
      e.stream = a.stream AND e.type = a.type AND e.version = a.version AND (e.data::text = a.data OR e.data IS NULL)
        AND e.tags IS NOT DISTINCT FROM string_to_array(a.tags, E'\\x1f') AS is_same
    FROM asked a
    LEFT JOIN LATERAL (
      SELECT x.position, x.revision, x.stream, x.type, x.version, x.data, x.tags
      FROM events x WHERE x.id = a.id AND x.recorded_at >= $1 LIMIT 1
    ) e ON true
  ), writes AS (
    SELECT c.request, c.write, min(c.first_revision) AS first_revision, min(c.found_position) AS first_position,
      max(c.found_position) AS last_position, count(c.found_position) AS found,
      coalesce(bool_and(c.found_position IS NOT NULL AND c.is_same), false)
        AND min(c.first_revision) = max(c.first_revision) AS is_same
    FROM compared c GROUP BY c.request, c.write
  ), requests AS (
    SELECT w.request, bool_and(w.is_same) AS is_same FROM writes w GROUP BY w.request HAVING sum(w.found) > 0
  ), first_used AS (
    SELECT DISTINCT ON (c.request) c.request, c.id, c.found_position
    FROM compared c WHERE c.found_position IS NOT NULL ORDER BY c.request, c.no
  )
  SELECT w.request, w.write, CASE WHEN r.is_same THEN 1 ELSE 5 END,
    CASE WHEN r.is_same THEN w.first_revision END,
    CASE WHEN r.is_same THEN w.first_position ELSE f.found_position END,
    CASE WHEN r.is_same THEN w.last_position END,
    CASE WHEN NOT r.is_same THEN f.id END
  FROM writes w
  JOIN requests r ON r.request = w.request
  JOIN first_used f ON f.request = w.request
$$`
    ]
  },
  {
    name: "first_match",
    checksum: "4a9d193c1d0d273d",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.first_match(after bigint, types text[], tags text[])
RETURNS bigint
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  any_type boolean := coalesce(cardinality(types), 0) = 0;
  n integer := coalesce(cardinality(tags), 0);
  agreed integer := 0;
  at integer := 1;
  target bigint := after + 1;
  found_position bigint;
BEGIN
  IF n = 0 THEN
    RETURN (SELECT e.position FROM events e
            WHERE e.position > after AND e.type = ANY (types)
            ORDER BY e.position LIMIT 1);
  END IF;
  IF n = 1 THEN
    RETURN (SELECT t.position FROM event_tags t
            WHERE t.tag = tags[1] AND t.position > after AND (any_type OR t.type = ANY (types))
            ORDER BY t.position LIMIT 1);
  END IF;
  LOOP
    SELECT t.position INTO found_position FROM event_tags t
    WHERE t.tag = tags[at] AND t.position >= target AND (any_type OR t.type = ANY (types))
    ORDER BY t.position LIMIT 1;
    IF found_position IS NULL THEN
      RETURN NULL;
    END IF;
    IF found_position = target AND agreed > 0 THEN
      agreed := agreed + 1;
    ELSE
      target := found_position;
      agreed := 1;
    END IF;
    IF agreed = n THEN
      RETURN target;
    END IF;
    at := at % n + 1;
  END LOOP;
END
$$`
    ]
  },
  {
    name: "create_events_partition",
    checksum: "1348a52a5f8bb21e",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.create_events_partition(month date)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO'
SET lock_timeout = '5s'
AS $$
DECLARE
  from_at timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
  to_at timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
  name text := to_char(month, '"events_"YYYY_MM');
BEGIN
  -- asked at every start: a month that is there costs no lock
  IF to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer);
  IF to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING CONSTRAINTS)', name);
  IF EXISTS (SELECT FROM events_default WHERE recorded_at >= from_at AND recorded_at < to_at) THEN
    ALTER TABLE events_default DISABLE TRIGGER refuse_change;
    EXECUTE format(
      'WITH moved AS (DELETE FROM events_default WHERE recorded_at >= $1 AND recorded_at < $2 RETURNING *)
       INSERT INTO %I SELECT * FROM moved', name) USING from_at, to_at;
    ALTER TABLE events_default ENABLE TRIGGER refuse_change;
  END IF;
  EXECUTE format('CREATE UNIQUE INDEX %I ON %I (position)', name || '_position', name);
  EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream, revision)', name || '_stream_revision', name);
  EXECUTE format('CREATE UNIQUE INDEX %I ON %I (id)', name || '_id', name);
  EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, from_at, to_at);
  EXECUTE format(
    'CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
     FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
  RETURN true;
END
$$`
    ]
  },
  {
    name: "append_each",
    checksum: "4aec52318dc23f13",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.append_each(
  p_stream text[], p_expected integer[], p_count integer[], p_of integer[],
  p_request integer[], p_index integer[],
  p_id uuid[], p_type text[], p_version smallint[], p_data text[], p_metadata text[], p_tags text[],
  p_claim integer[], p_claim_stream text[], p_claim_expected integer[],
  p_condition integer[], p_after bigint[], p_types text[], p_match text[],
  p_id_from timestamptz, p_id_to timestamptz, p_check_ids boolean, p_notify boolean
)
RETURNS TABLE (
  outcome integer, stream text, revision integer, "position" bigint, last_position bigint, id uuid
)
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_start bigint;
  v_position bigint;
  v_at timestamptz;
  v_horizon timestamptz;
  v_since timestamptz;
  v_check boolean;
  v_writes integer := cardinality(p_stream);
  v_write integer := 1;
  v_last_write integer;
  v_event integer := 1;
  v_last_event integer;
  v_next integer;
  v_outcome integer;
  v_stream text;
  v_revision integer;
  v_place bigint;
  v_used uuid;
  v_last integer;
  v_rows integer;
  v_lasts integer[];
  r record;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'appends need READ COMMITTED' USING ERRCODE = 'ES002';
  END IF;
  PERFORM pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer);
  SELECT h.position, greatest(h.recorded_at, clock_timestamp()), h.id_horizon
  INTO STRICT v_start, v_at, v_horizon FROM head h WHERE h.id = 1 AND h.restoring IS NULL;
  v_position := v_start;

  -- An id whose time lies in this month was not recorded in an earlier one, so
  -- the partition's own index answers for it; all others are looked up.
  v_since := CASE WHEN p_id_from > v_horizon THEN p_id_from - interval '1 hour' ELSE '-infinity' END;
  v_check := p_check_ids OR v_since < date_trunc('month', v_at, 'UTC') OR p_id_to > v_at + interval '1 hour';

  WHILE v_write <= v_writes LOOP
    -- the writes and events of this request
    v_last_write := v_write;
    v_last_event := v_event + p_count[v_write] - 1;
    WHILE v_last_write < v_writes AND p_of[v_last_write + 1] = p_of[v_write] LOOP
      v_last_write := v_last_write + 1;
      v_last_event := v_last_event + p_count[v_last_write];
    END LOOP;
    v_outcome := 0;
    v_stream := NULL;
    v_revision := NULL;
    v_place := NULL;
    v_used := NULL;
    v_lasts := NULL;

    -- claims on the streams that are written to
    FOR w IN v_write..v_last_write LOOP
      SELECT CASE WHEN t.is_tombstoned THEN -2 - t.revision ELSE t.revision END INTO v_last
      FROM streams t WHERE t.name = p_stream[w];
      v_lasts := v_lasts || v_last;
      IF v_last < -1 AND v_outcome <> 4 THEN
        v_outcome := 4;
        v_stream := p_stream[w];
      ELSIF v_outcome = 0 AND p_expected[w] <> -2 AND p_expected[w] <> coalesce(v_last, -1)
        AND NOT (p_expected[w] = -3 AND v_last IS NOT NULL) THEN
        v_outcome := 2;
        v_stream := p_stream[w];
        v_revision := v_last;
      END IF;
    END LOOP;

    -- claims on other streams
    IF v_outcome = 0 AND p_claim IS NOT NULL THEN
      FOR r IN
        SELECT c.stream, c.expected, (SELECT t.revision FROM streams t WHERE t.name = c.stream) AS last
        FROM unnest(p_claim, p_claim_stream, p_claim_expected) WITH ORDINALITY AS c (request, stream, expected, o)
        WHERE c.request = p_of[v_write] ORDER BY c.o
      LOOP
        IF r.expected <> -2 AND r.expected <> coalesce(r.last, -1) AND NOT (r.expected = -3 AND r.last IS NOT NULL) THEN
          v_outcome := 2;
          v_stream := r.stream;
          v_revision := r.last;
          EXIT;
        END IF;
      END LOOP;
    END IF;

    -- condition on the log
    IF v_outcome = 0 AND p_condition IS NOT NULL THEN
      SELECT min(first_match(q.after, string_to_array(q.types, E'\\x1f'), string_to_array(q.tags, E'\\x1f'))) INTO v_place
      FROM unnest(p_condition, p_after, p_types, p_match) AS q (request, after, types, tags)
      WHERE q.request = p_of[v_write];
      IF v_place IS NOT NULL THEN
        v_outcome := 3;
      ELSIF v_position < ANY (SELECT q.after FROM unnest(p_condition, p_after) AS q (request, after)
                              WHERE q.request = p_of[v_write]) THEN
        v_outcome := 6;
        v_place := v_position;
      END IF;
    END IF;

    -- A request that fails may be the retry of one that did not.
    v_rows := 0;
    IF v_check OR v_outcome <> 0 THEN
      FOR r IN
        SELECT * FROM find_recorded(v_since,
          array_fill(p_of[v_write], ARRAY[v_last_event - v_event + 1]), p_request[v_event:v_last_event],
          p_index[v_event:v_last_event],
          (SELECT array_agg(p_stream[q] ORDER BY o) FROM unnest(p_request[v_event:v_last_event]) WITH ORDINALITY AS x (q, o)),
          p_id[v_event:v_last_event], p_type[v_event:v_last_event], p_version[v_event:v_last_event],
          p_data[v_event:v_last_event],
          coalesce(p_tags[v_event:v_last_event], array_fill(NULL::text, ARRAY[v_last_event - v_event + 1])))
        ORDER BY write_no
      LOOP
        v_rows := v_rows + 1;
        v_outcome := r.outcome;
        outcome := r.outcome;
        stream := NULL;
        revision := r.revision;
        position := r.position;
        last_position := r.last_position;
        id := r.id_used;
        RETURN NEXT;
      END LOOP;
    END IF;

    IF v_rows = 0 AND v_outcome <> 0 THEN
      FOR w IN v_write..v_last_write LOOP
        outcome := v_outcome;
        stream := v_stream;
        revision := v_revision;
        position := v_place;
        last_position := NULL;
        id := NULL;
        RETURN NEXT;
      END LOOP;
    ELSIF v_rows = 0 THEN
      v_next := v_event;
      FOR w IN v_write..v_last_write LOOP
        v_last := v_lasts[w - v_write + 1];
        outcome := 0;
        stream := NULL;
        revision := coalesce(v_last, -1) + 1;
        position := v_position + 1;
        last_position := NULL;
        id := NULL;
        IF v_last IS NULL THEN
          INSERT INTO streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
          VALUES (p_stream[w], p_count[w] - 1, v_position + 1, v_position + p_count[w], v_at, v_at);
        ELSE
          UPDATE streams t SET revision = t.revision + p_count[w], last_position = v_position + p_count[w],
            last_recorded_at = v_at
          WHERE t.name = p_stream[w];
        END IF;
        IF p_count[w] = 1 THEN
          INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
          VALUES (position, p_stream[w], revision, p_id[v_next], p_type[v_next], p_version[v_next],
            p_data[v_next]::json, p_metadata[v_next]::json, string_to_array(p_tags[v_next], E'\\x1f'), v_at);
        ELSE
          INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
          SELECT v_position + e.o, p_stream[w], coalesce(v_last, -1) + e.o, e.id, e.type, e.version, e.data::json,
            e.metadata::json, string_to_array(e.tags, E'\\x1f'), v_at
          FROM unnest(p_id[v_next:v_next + p_count[w] - 1], p_type[v_next:v_next + p_count[w] - 1],
            p_version[v_next:v_next + p_count[w] - 1], p_data[v_next:v_next + p_count[w] - 1],
            p_metadata[v_next:v_next + p_count[w] - 1], p_tags[v_next:v_next + p_count[w] - 1])
            WITH ORDINALITY AS e (id, type, version, data, metadata, tags, o);
        END IF;
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        IF v_rows <> p_count[w] THEN
          RAISE EXCEPTION 'recorded % of % events', v_rows, p_count[w] USING ERRCODE = 'ES003';
        END IF;
        IF p_tags IS NOT NULL THEN
          INSERT INTO event_tags (tag, position, type)
          SELECT x.tag, v_position + e.o, e.type
          FROM unnest(p_type[v_next:v_next + p_count[w] - 1], p_tags[v_next:v_next + p_count[w] - 1])
            WITH ORDINALITY AS e (type, tags, o), unnest(string_to_array(e.tags, E'\\x1f')) AS x (tag);
        END IF;
        v_position := v_position + p_count[w];
        v_next := v_next + p_count[w];
        RETURN NEXT;
      END LOOP;
    END IF;
    v_write := v_last_write + 1;
    v_event := v_last_event + 1;
  END LOOP;

  IF v_position > v_start THEN
    UPDATE head h SET position = v_position, recorded_at = v_at,
      id_horizon = CASE WHEN p_id_to > v_at + interval '1 hour' THEN greatest(h.id_horizon, p_id_to) ELSE h.id_horizon END
    WHERE h.id = 1;
    -- only when somebody listens: they hold this lock shared (NOTIFY costs as much as an index)
    IF p_notify AND NOT pg_try_advisory_xact_lock(1163088962, 'head'::regclass::oid::integer) THEN
      PERFORM pg_notify(current_schema(), '');
    END IF;
  END IF;
END
$$`
    ]
  },
  {
    name: "append_many",
    checksum: "3305a2a2e82c8d46",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.append_many(
  p_stream text[], p_expected integer[], p_count integer[],
  p_request integer[], p_index integer[],
  p_id uuid[], p_type text[], p_version smallint[], p_data text[], p_metadata text[], p_tags text[],
  p_condition integer[], p_after bigint[], p_types text[], p_match text[],
  p_is_shared boolean, p_id_from timestamptz, p_id_to timestamptz, p_check_ids boolean, p_notify boolean
)
RETURNS TABLE (outcome integer, revision integer, "position" bigint, last_position bigint, id uuid)
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_position bigint;
  v_at timestamptz;
  v_horizon timestamptz;
  v_since timestamptz;
  v_check boolean;
  v_outcome integer[];
  v_last integer[];
  v_place bigint[];
  v_until bigint[];
  v_used uuid[];
  v_before integer[] := p_count;
  v_before_in_stream integer[];
  v_total integer := 0;
  v_is_any_new boolean := false;
  v_is_any_old boolean := false;
  v_inserted integer;
  r record;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'appends need READ COMMITTED' USING ERRCODE = 'ES002';
  END IF;
  PERFORM pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer);
  SELECT h.position, greatest(h.recorded_at, clock_timestamp()), h.id_horizon
  INTO STRICT v_position, v_at, v_horizon FROM head h WHERE h.id = 1 AND h.restoring IS NULL;

  -- An id whose time lies in this month was not recorded in an earlier one, so
  -- the partition's own index answers for it; all others are looked up.
  v_since := CASE WHEN p_id_from > v_horizon THEN p_id_from - interval '1 hour' ELSE '-infinity' END;
  v_check := p_check_ids OR v_since < date_trunc('month', v_at, 'UTC') OR p_id_to > v_at + interval '1 hour';

  -- unnest gives its rows in order, and array_agg takes them as they come
  SELECT array_agg(CASE
      WHEN z.last < -1 THEN 4
      WHEN z.x = -2 OR z.x = coalesce(z.last, -1) OR (z.x = -3 AND z.last IS NOT NULL) THEN 0
      ELSE 2 END),
    array_agg(z.last)
  INTO v_outcome, v_last
  FROM (SELECT u.x, (SELECT CASE WHEN t.is_tombstoned THEN -2 - t.revision ELSE t.revision END
                     FROM streams t WHERE t.name = u.s) AS last
        FROM unnest(p_stream, p_expected) AS u (s, x) OFFSET 0) z;

  IF p_condition IS NOT NULL OR v_check OR 0 <> ANY (v_outcome) THEN
    v_place := array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]);
    v_until := v_place;
    v_used := array_fill(NULL::uuid, ARRAY[cardinality(p_stream)]);
  END IF;

  IF p_condition IS NOT NULL THEN
    FOR r IN
      -- most conditions are about one tag: asked here without a call
      SELECT q.o, q.after, CASE WHEN position(E'\\x1f' IN q.tags) = 0
        THEN (SELECT t.position FROM event_tags t
              WHERE t.tag = q.tags AND t.position > q.after
                AND (q.types IS NULL OR t.type = ANY (string_to_array(q.types, E'\\x1f')))
              ORDER BY t.position LIMIT 1)
        ELSE first_match(q.after, string_to_array(q.types, E'\\x1f'), string_to_array(q.tags, E'\\x1f')) END AS place
      FROM unnest(p_condition, p_after, p_types, p_match) AS q (o, after, types, tags)
    LOOP
      IF r.after > v_position AND v_outcome[r.o] IN (0, 3) THEN
        v_outcome[r.o] := 6;
        v_place[r.o] := v_position;
      END IF;
      IF r.place IS NOT NULL AND v_outcome[r.o] IN (0, 3) THEN
        v_outcome[r.o] := 3;
        v_place[r.o] := least(v_place[r.o], r.place);
      END IF;
    END LOOP;
  END IF;

  -- A request that fails may be the retry of one that did not.
  IF v_check OR 0 <> ANY (v_outcome) THEN
    FOR r IN
      WITH asked AS (
        SELECT e.* FROM unnest(p_request, p_index, p_id, p_type, p_version, p_data, p_tags)
          AS e (o, i, id, type, version, data, tags)
        WHERE v_check OR v_outcome[e.o] <> 0
      )
      SELECT f.* FROM (
        SELECT array_agg(a.o) AS o, array_agg(a.i) AS i, array_agg(p_stream[a.o]) AS s, array_agg(a.id) AS id,
          array_agg(a.type) AS type, array_agg(a.version) AS version, array_agg(a.data) AS data, array_agg(a.tags) AS tags
        FROM asked a
      ) g, find_recorded(v_since, g.o, g.o, g.i, g.s, g.id, g.type, g.version, g.data, g.tags) f
    LOOP
      v_outcome[r.request_no] := r.outcome;
      v_last[r.request_no] := r.revision;
      v_place[r.request_no] := r.position;
      v_until[r.request_no] := r.last_position;
      v_used[r.request_no] := r.id_used;
    END LOOP;
  END IF;

  -- how many events of the batch stand before each request
  FOR i IN 1..cardinality(p_stream) LOOP
    v_before[i] := v_total;
    IF v_outcome[i] = 0 THEN
      v_total := v_total + p_count[i];
      v_is_any_new := v_is_any_new OR v_last[i] IS NULL;
      v_is_any_old := v_is_any_old OR v_last[i] IS NOT NULL;
    END IF;
  END LOOP;

  IF v_total > 0 THEN
    IF p_is_shared THEN
      SELECT array_agg(w.before) INTO v_before_in_stream
      FROM (SELECT (sum(c.n) OVER (PARTITION BY c.s ORDER BY c.o) - c.n)::integer AS before
            FROM (SELECT u.s, u.o, CASE WHEN u.k = 0 THEN u.n ELSE 0 END AS n
                  FROM unnest(p_stream, p_count, v_outcome) WITH ORDINALITY AS u (s, n, k, o)) c
            ORDER BY c.o OFFSET 0) w;
    END IF;
    IF v_is_any_new THEN
      INSERT INTO streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
      SELECT u.s, sum(u.n) - 1, v_position + min(u.before) + 1, v_position + max(u.before + u.n), v_at, v_at
      FROM unnest(p_stream, p_count, v_outcome, v_last, v_before) AS u (s, n, k, last, before)
      WHERE u.k = 0 AND u.last IS NULL
      GROUP BY u.s;
    END IF;
    IF v_is_any_old THEN
      UPDATE streams t SET revision = t.revision + g.n, last_position = v_position + g.until, last_recorded_at = v_at
      FROM (SELECT u.s, sum(u.n) AS n, max(u.before + u.n) AS until
            FROM unnest(p_stream, p_count, v_outcome, v_last, v_before) AS u (s, n, k, last, before)
            WHERE u.k = 0 AND u.last IS NOT NULL
            GROUP BY u.s) g
      WHERE t.name = g.s;
    END IF;
    INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
    SELECT v_position + v_before[e.o] + e.i + 1, p_stream[e.o],
      coalesce(v_last[e.o], -1) + 1 + coalesce(v_before_in_stream[e.o], 0) + e.i,
      e.id, e.type, e.version, e.data::json, e.metadata::json, string_to_array(e.tags, E'\\x1f'), v_at
    -- unnest in the list of columns: as a table the rows would be stored first (a fifteenth of the cost, measured)
    FROM (SELECT unnest(p_request) AS o, unnest(p_index) AS i, unnest(p_id) AS id, unnest(p_type) AS type,
            unnest(p_version) AS version, unnest(p_data) AS data, unnest(p_metadata) AS metadata,
            unnest(p_tags) AS tags) e
    WHERE v_outcome[e.o] = 0;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted <> v_total THEN
      RAISE EXCEPTION 'recorded % of % events', v_inserted, v_total USING ERRCODE = 'ES003';
    END IF;
    IF p_tags IS NOT NULL THEN
      INSERT INTO event_tags (tag, position, type)
      SELECT x.tag, v_position + v_before[e.o] + e.i + 1, e.type
      FROM unnest(p_request, p_index, p_type, p_tags) AS e (o, i, type, tags),
        unnest(string_to_array(e.tags, E'\\x1f')) AS x (tag)
      WHERE v_outcome[e.o] = 0;
    END IF;
    UPDATE head h SET position = v_position + v_total, recorded_at = v_at,
      id_horizon = CASE WHEN p_id_to > v_at + interval '1 hour' THEN greatest(h.id_horizon, p_id_to) ELSE h.id_horizon END
    WHERE h.id = 1;
    -- only when somebody listens: they hold this lock shared (NOTIFY costs as much as an index)
    IF p_notify AND NOT pg_try_advisory_xact_lock(1163088962, 'head'::regclass::oid::integer) THEN
      PERFORM pg_notify(current_schema(), '');
    END IF;
  END IF;
  RETURN QUERY SELECT u.k,
    CASE WHEN u.k = 0 THEN coalesce(u.last, -1) + 1 + coalesce(u.before_in_stream, 0) WHEN u.k IN (1, 2) THEN u.last END,
    CASE WHEN u.k = 0 THEN v_position + u.before + 1 ELSE u.place END, u.until, u.used
  FROM unnest(v_outcome, v_last, v_before, v_before_in_stream, v_place, v_until, v_used)
    AS u (k, last, before, before_in_stream, place, until, used);
END
$$`
    ]
  },
  {
    name: "append_one",
    checksum: "9860b7abe5723a93",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.append_one(
  p_stream text, p_expected integer,
  p_id uuid, p_type text, p_version smallint, p_data text, p_metadata text, p_id_time timestamptz, p_notify boolean
)
RETURNS float8[]
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_position bigint;
  v_at timestamptz;
  v_horizon timestamptz;
  v_revision integer;
BEGIN
  -- an expression: as a query it would cost as much again as the lock
  IF pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer) IS NULL THEN
    RETURN NULL;
  END IF;
  -- the next revision, negative for a tombstoned stream
  SELECT h.position + 1, greatest(h.recorded_at, clock_timestamp()), h.id_horizon,
    coalesce((SELECT CASE WHEN t.is_tombstoned THEN -1 ELSE t.revision + 1 END FROM streams t WHERE t.name = p_stream), 0)
  INTO v_position, v_at, v_horizon, v_revision FROM head h WHERE h.id = 1;

  -- the claim holds, and the id cannot stand in an earlier month (as in append_many)
  IF v_revision >= 0
    AND (p_expected = v_revision - 1 OR p_expected = -2 OR (p_expected = -3 AND v_revision > 0))
    AND p_id_time > v_horizon AND p_id_time - interval '1 hour' >= date_trunc('month', v_at, 'UTC')
    AND p_id_time <= v_at + interval '1 hour'
  THEN
    IF v_revision = 0 THEN
      INSERT INTO streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
      VALUES (p_stream, 0, v_position, v_position, v_at, v_at);
    ELSE
      UPDATE streams t SET revision = v_revision, last_position = v_position, last_recorded_at = v_at
      WHERE t.name = p_stream;
    END IF;
    INSERT INTO events (position, stream, revision, id, type, version, data, metadata, recorded_at)
    VALUES (v_position, p_stream, v_revision, p_id, p_type, p_version, p_data::json, p_metadata::json, v_at);
    UPDATE head h SET position = v_position, recorded_at = v_at WHERE h.id = 1;
    -- only when somebody listens: they hold this lock shared (NOTIFY costs as much as an index)
    IF p_notify AND NOT pg_try_advisory_xact_lock(1163088962, 'head'::regclass::oid::integer) THEN
      PERFORM pg_notify(current_schema(), '');
    END IF;
    RETURN ARRAY[0, v_revision, v_position, NULL]::float8[];
  END IF;

  RETURN (
    SELECT ARRAY[e.outcome, e.revision, e.position, e.last_position]::float8[]
    FROM append_each(ARRAY[p_stream], ARRAY[p_expected], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[0],
      ARRAY[p_id], ARRAY[p_type], ARRAY[p_version], ARRAY[p_data], ARRAY[p_metadata], NULL,
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, p_id_time, p_id_time, false, p_notify) e
  );
END
$$`
    ]
  },
  {
    name: "begin_change",
    checksum: "8c4d11a07b9d73cb",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.begin_change(
  of_projection text, of_version smallint, at bigint, OUT number bigint, OUT reached bigint
)
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  -- number, position, and whose they are: one transaction may change several projections
  mark text[] := string_to_array(coalesce(current_setting('eventstore.change', true), ''), ' ');
  owner text := of_version || ':' || encode(convert_to(of_projection, 'UTF8'), 'hex');
BEGIN
  IF mark[3] = owner THEN
    number := mark[1];
    reached := mark[2];
    RETURN;
  END IF;
  INSERT INTO projection_feeds AS f (projection, version, change) VALUES (of_projection, of_version, 1)
    ON CONFLICT (projection, version) DO UPDATE SET change = f.change + 1
    RETURNING f.change INTO number;
  reached := coalesce(at, (
    SELECT max(p.position) FROM projections p WHERE p.name = of_projection AND p.version = of_version), 0);
  PERFORM set_config('eventstore.change', number || ' ' || reached || ' ' || owner, true);
END
$$`
    ]
  },
  {
    name: "create_optional_index",
    checksum: "e7d8e1e441d9d6d7",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.create_optional_index(kind text)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
BEGIN
  CASE kind
    WHEN 'type' THEN
      CREATE INDEX IF NOT EXISTS events_type_position ON events (type, position);
    WHEN 'data' THEN
      CREATE INDEX IF NOT EXISTS events_data ON events USING gin ((data::jsonb) jsonb_path_ops);
    ELSE
      RAISE EXCEPTION 'no index of kind %: type or data', kind USING ERRCODE = '22023';
  END CASE;
END
$$`
    ]
  },
  {
    name: "ensure_events_partitions",
    checksum: "074d9e5f158dd709",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.ensure_events_partitions(ahead integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  this_month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
  made integer := 0;
BEGIN
  FOR step IN 0..ahead LOOP
    IF create_events_partition((this_month + make_interval(months => step))::date) THEN
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END
$$`
    ]
  },
  {
    name: "forget_changes",
    checksum: "80c9e926712cd401",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.forget_changes(of_projection text, of_version smallint, until_position bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  first_kept bigint;
BEGIN
  -- a commit under way has a number, and rows that nobody sees yet
  PERFORM FROM projection_feeds f WHERE f.projection = of_projection AND f.version = of_version FOR UPDATE;
  SELECT c.change INTO first_kept FROM projection_changes c
    WHERE c.projection = of_projection AND c.version = of_version AND c.position > until_position
    ORDER BY c.change LIMIT 1;
  DELETE FROM projection_changes c
    WHERE c.projection = of_projection AND c.version = of_version AND (c.change < first_kept OR first_kept IS NULL);
  UPDATE projection_feeds f SET forgotten = greatest(f.forgotten, coalesce(first_kept - 1, f.change))
    WHERE f.projection = of_projection AND f.version = of_version;
END
$$`
    ]
  },
  {
    name: "record_row",
    checksum: "5e1f112f4805ea43",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.record_row()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  of_version smallint := TG_ARGV[1];
  number bigint;
  reached bigint;
  before_key text;
  after_key text;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    -- nobody can say which rows are gone: a new feed begins
    UPDATE projection_feeds f SET id = gen_random_uuid(), forgotten = f.change
      WHERE f.projection = TG_ARGV[0] AND f.version = of_version;
    RETURN NULL;
  END IF;
  SELECT c.number, c.reached INTO number, reached FROM begin_change(TG_ARGV[0], of_version, NULL) c;
  IF TG_OP <> 'INSERT' THEN
    before_key := (SELECT jsonb_object_agg(k, to_jsonb(OLD) ->> k) FROM unnest(TG_ARGV[3:]) k);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    after_key := (SELECT jsonb_object_agg(k, to_jsonb(NEW) ->> k) FROM unnest(TG_ARGV[3:]) k);
  END IF;
  INSERT INTO projection_changes (projection, version, change, id, position, source, key, is_removal)
  SELECT TG_ARGV[0], of_version, number, sha256(convert_to(TG_ARGV[2] || ' ' || c.key, 'UTF8')), reached, TG_ARGV[2],
    c.key, c.is_removal
  FROM (VALUES (before_key, true), (after_key, false)) c (key, is_removal)
  WHERE c.key IS NOT NULL AND (NOT c.is_removal OR c.key IS DISTINCT FROM after_key)
  ON CONFLICT (projection, version, change, id) DO UPDATE SET is_removal = excluded.is_removal;
  RETURN NULL;
END
$$`
    ]
  },
  {
    name: "record_states",
    checksum: "bd7cf37e50351514",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.record_states(
  of_projection text, of_version smallint, keys text[], removed boolean[]
)
RETURNS void
LANGUAGE sql
SET search_path = event_store, pg_temp
AS $$
  INSERT INTO projection_changes (projection, version, change, id, position, key, is_removal)
  SELECT $1, $2, c.number, sha256(convert_to(s.key, 'UTF8')), c.reached, s.key, s.is_removal
  FROM begin_change($1, $2, NULL) c, unnest($3, $4) s (key, is_removal)
  ON CONFLICT (projection, version, change, id) DO UPDATE SET is_removal = excluded.is_removal
$$`
    ]
  },
  {
    name: "verify_log",
    checksum: "cc4ca26ed0ca16cd",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.verify_log()
RETURNS TABLE (fault text, found bigint, example text)
LANGUAGE sql STABLE
SET search_path = event_store, pg_temp
AS $$
  WITH positions AS (
    SELECT count(*) AS events, count(DISTINCT e.position) AS places, coalesce(max(e.position), 0) AS last FROM events e
  ), head_now AS (
    SELECT h.position, h.recorded_at FROM head h
  )
  SELECT 'positions repeat'::text, p.events - p.places, NULL::text FROM positions p WHERE p.events <> p.places
  UNION ALL
  SELECT 'positions have gaps', p.last - p.places, 'last position ' || p.last FROM positions p WHERE p.last <> p.places
  UNION ALL
  SELECT 'head differs from the last event', 1, 'head ' || h.position || ', last event ' || p.last
  FROM positions p, head_now h WHERE h.position <> p.last
  UNION ALL
  SELECT 'values are out of their range', count(*), min(e.position)::text
  FROM events e WHERE e.position < 1 OR e.revision < 0 OR e.version < 1 OR octet_length(e.type) NOT BETWEEN 1 AND 512
    OR octet_length(e.stream) NOT BETWEEN 1 AND 512
  HAVING count(*) > 0
  UNION ALL
  SELECT 'event ids repeat', count(*), min(d.id::text)
  FROM (SELECT e.id FROM events e GROUP BY e.id HAVING count(*) > 1) d HAVING count(*) > 0
  UNION ALL
  SELECT 'revisions of a stream repeat or have gaps', count(*), min(d.stream)
  FROM (SELECT e.stream FROM events e GROUP BY e.stream
        HAVING count(*) <> max(e.revision) + 1 OR min(e.revision) <> 0 OR count(*) <> count(DISTINCT e.revision)) d
  HAVING count(*) > 0
  UNION ALL
  SELECT 'streams differ from their events', count(*), min(coalesce(t.name, d.stream))
  FROM streams t
  FULL JOIN (SELECT e.stream, max(e.revision) AS revision, min(e.position) AS first_position,
               max(e.position) AS last_position, min(e.recorded_at) AS first_at, max(e.recorded_at) AS last_at
             FROM events e GROUP BY e.stream) d ON d.stream = t.name
  WHERE (t.revision, t.first_position, t.last_position, t.first_recorded_at, t.last_recorded_at)
    IS DISTINCT FROM (d.revision, d.first_position, d.last_position, d.first_at, d.last_at)
  HAVING count(*) > 0
  UNION ALL
  SELECT 'stream order differs from log order', count(*), min(d.stream)
  FROM (SELECT e.stream, e.position, lag(e.position) OVER (PARTITION BY e.stream ORDER BY e.revision) AS before FROM events e) d
  WHERE d.before > d.position HAVING count(*) > 0
  UNION ALL
  SELECT 'time runs against position', count(*), min(d.position)::text
  FROM (SELECT e.position, e.recorded_at, lag(e.recorded_at) OVER (ORDER BY e.position) AS before FROM events e) d
  WHERE d.before > d.recorded_at HAVING count(*) > 0
  UNION ALL
  SELECT 'tags differ from their events', count(*), min(coalesce(d.position, t.position))::text
  FROM (SELECT x.tag, e.position, e.type FROM events e, unnest(e.tags) AS x (tag)) d
  FULL JOIN event_tags t ON t.tag = d.tag AND t.position = d.position AND t.type = d.type
  WHERE d.position IS NULL OR t.position IS NULL HAVING count(*) > 0
  UNION ALL
  SELECT 'archives repeat or have gaps', count(*), min(d.after_position)::text
  FROM (SELECT a.after_position, lag(a.until_position, 1, 0::bigint) OVER (ORDER BY a.until_position) AS before
        FROM archives a) d
  WHERE d.after_position <> d.before HAVING count(*) > 0
  UNION ALL
  SELECT 'data is missing, or stands in the archived part', count(*), min(e.position)::text
  FROM events e, (SELECT coalesce(max(a.until_position), 0) AS until FROM archives a) p
  WHERE (e.data IS NULL) <> (e.position <= p.until) HAVING count(*) > 0
$$`
    ]
  },
  {
    name: "watch_table",
    checksum: "98d62558896e6ceb",
    statements: [
      `CREATE OR REPLACE FUNCTION event_store.watch_table(
  of_projection text, of_version smallint, source text, relation text
)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  arguments text := concat_ws(', ', quote_literal(of_projection), quote_literal(of_version), quote_literal(source));
  key_columns text[] := (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, place), pg_attribute a
    WHERE i.indrelid = relation::regclass AND i.indisprimary AND k.place <= i.indnkeyatts
      AND a.attrelid = i.indrelid AND a.attnum = k.attnum);
BEGIN
  IF key_columns IS NULL THEN
    RAISE EXCEPTION 'the table % has no primary key, so its changes cannot be kept', source
      USING ERRCODE = 'ES004';
  END IF;
  EXECUTE format('CREATE TRIGGER record_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
    EXECUTE FUNCTION record_row(%s, %s)', relation, arguments,
    (SELECT string_agg(quote_literal(c), ', ') FROM unnest(key_columns) c));
  EXECUTE format('CREATE TRIGGER record_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
    EXECUTE FUNCTION record_row(%s)', relation, arguments);
  EXECUTE format('INSERT INTO projection_changes (projection, version, change, id, position, source, key, is_removal)
    SELECT $1, $2, c.number, sha256(convert_to($3 || '' '' || r.key, ''UTF8'')), c.reached, $3, r.key, false
    FROM begin_change($1, $2, NULL) c, (
      SELECT (SELECT jsonb_object_agg(k, to_jsonb(t) ->> k) FROM unnest($4) k)::text AS key FROM %s t) r', relation)
    USING of_projection, of_version, source, key_columns;
END
$$`
    ]
  }
]

/** Roles and their rights, on request. */
export const privileges: ReadonlyArray<string> = [
  `DO $$
BEGIN
  CREATE ROLE event_store_reader NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$`,
  `DO $$
BEGIN
  CREATE ROLE event_store_backup NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$`,
  `DO $$
BEGIN
  CREATE ROLE event_store_writer NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$`,
  `REVOKE ALL ON SCHEMA event_store FROM PUBLIC`,
  `REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA event_store FROM PUBLIC`,
  `GRANT USAGE ON SCHEMA event_store TO event_store_reader, event_store_backup, event_store_writer`,
  `GRANT SELECT ON ALL TABLES IN SCHEMA event_store TO event_store_reader, event_store_backup, event_store_writer`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA event_store
  GRANT SELECT ON TABLES TO event_store_reader, event_store_backup, event_store_writer`,
  `GRANT INSERT ON event_store.events, event_store.event_tags, event_store.streams TO event_store_writer`,
  `GRANT UPDATE (revision, last_position, last_recorded_at, truncate_before, is_tombstoned, metadata)
  ON event_store.streams TO event_store_writer`,
  `GRANT UPDATE (position, recorded_at, id_horizon) ON event_store.head TO event_store_writer`,
  `GRANT INSERT, UPDATE, DELETE ON event_store.snapshots TO event_store_writer`,
  `GRANT INSERT, UPDATE, DELETE ON event_store.projections, event_store.projection_states, event_store.projection_parked
  TO event_store_writer`,
  `GRANT INSERT, UPDATE ON event_store.projection_builds TO event_store_writer`,
  `GRANT INSERT, UPDATE, DELETE ON event_store.projection_runners TO event_store_writer`,
  `GRANT INSERT, UPDATE, DELETE ON event_store.projection_feeds, event_store.projection_changes TO event_store_writer`,
  `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA event_store TO event_store_writer`,
  `REVOKE EXECUTE ON FUNCTION event_store.create_events_partition(date), event_store.ensure_events_partitions(integer),
  event_store.create_optional_index(text) FROM event_store_writer`,
  `GRANT EXECUTE ON FUNCTION event_store.first_match(bigint, text[], text[]), event_store.verify_log()
  TO event_store_reader, event_store_backup`
]

/** What is in the schema after all of it, a line each thing. */
export const catalog: ReadonlyArray<string> = [
  `table archives`,
  `table event_tags`,
  `table events partition by RANGE (recorded_at)`,
  `table events_default partition DEFAULT`,
  `table functions`,
  `table head with fillfactor=10`,
  `table migrations`,
  `table projection_builds`,
  `table projection_changes`,
  `table projection_feeds with fillfactor=20`,
  `table projection_parked`,
  `table projection_runners with fillfactor=50`,
  `table projection_states with fillfactor=70`,
  `table projections with fillfactor=20`,
  `table snapshots`,
  `table streams with fillfactor=70`,
  `column archives.after_position bigint not null`,
  `column archives.archived_at timestamp with time zone not null default clock_timestamp()`,
  `column archives.backup text collate C not null`,
  `column archives.bytes_freed bigint not null`,
  `column archives.chain text collate C not null`,
  `column archives.digest text collate C not null`,
  `column archives.events bigint not null`,
  `column archives.month date not null`,
  `column archives.until_position bigint not null`,
  `column event_tags.position bigint not null`,
  `column event_tags.tag text collate C not null`,
  `column event_tags.type text collate C not null`,
  `column events.data json`,
  `column events.id uuid not null`,
  `column events.metadata json`,
  `column events.position bigint not null`,
  `column events.recorded_at timestamp with time zone not null`,
  `column events.revision integer not null`,
  `column events.stream text collate C not null`,
  `column events.tags text[] collate C`,
  `column events.type text collate C not null`,
  `column events.version smallint not null`,
  `column events_default.data json`,
  `column events_default.id uuid not null`,
  `column events_default.metadata json`,
  `column events_default.position bigint not null`,
  `column events_default.recorded_at timestamp with time zone not null`,
  `column events_default.revision integer not null`,
  `column events_default.stream text collate C not null`,
  `column events_default.tags text[] collate C`,
  `column events_default.type text collate C not null`,
  `column events_default.version smallint not null`,
  `column functions.applied_at timestamp with time zone not null default clock_timestamp()`,
  `column functions.checksum text not null`,
  `column functions.name text not null`,
  `column head.id smallint not null`,
  `column head.id_horizon timestamp with time zone not null default '-infinity'::timestamp with time zone`,
  `column head.incarnation uuid not null`,
  `column head.parent uuid`,
  `column head.parent_position bigint`,
  `column head.position bigint not null`,
  `column head.recorded_at timestamp with time zone not null`,
  `column head.restoring jsonb`,
  `column migrations.applied_at timestamp with time zone not null default clock_timestamp()`,
  `column migrations.checksum text not null`,
  `column migrations.name text not null`,
  `column projection_builds.created_at timestamp with time zone not null default clock_timestamp()`,
  `column projection_builds.epoch bigint not null default 0`,
  `column projection_builds.is_live boolean not null default false`,
  `column projection_builds.keep_until timestamp with time zone`,
  `column projection_builds.name text collate C not null`,
  `column projection_builds.retired_at timestamp with time zone`,
  `column projection_builds.status text not null`,
  `column projection_builds.tables text[] not null default '{}'::text[]`,
  `column projection_builds.version smallint not null`,
  `column projection_changes.change bigint not null`,
  `column projection_changes.id bytea not null`,
  `column projection_changes.is_removal boolean not null`,
  `column projection_changes.key text not null`,
  `column projection_changes.position bigint not null`,
  `column projection_changes.projection text collate C not null`,
  `column projection_changes.source text collate C`,
  `column projection_changes.version smallint not null`,
  `column projection_feeds.change bigint not null default 0`,
  `column projection_feeds.forgotten bigint not null default 0`,
  `column projection_feeds.id uuid not null default gen_random_uuid()`,
  `column projection_feeds.projection text collate C not null`,
  `column projection_feeds.version smallint not null`,
  `column projection_parked.attempts integer not null`,
  `column projection_parked.id uuid not null`,
  `column projection_parked.key text collate C not null`,
  `column projection_parked.parked_at timestamp with time zone not null default clock_timestamp()`,
  `column projection_parked.position bigint not null`,
  `column projection_parked.projection text collate C not null`,
  `column projection_parked.reason text not null`,
  `column projection_parked.revision integer not null`,
  `column projection_parked.slice smallint not null default 0`,
  `column projection_parked.stream text collate C not null`,
  `column projection_parked.type text collate C not null`,
  `column projection_parked.version smallint not null`,
  `column projection_runners.owner text collate C not null`,
  `column projection_runners.projections text[] not null`,
  `column projection_runners.there_until timestamp with time zone not null`,
  `column projection_states.changed_at timestamp with time zone`,
  `column projection_states.key text collate C not null`,
  `column projection_states.projection text collate C not null`,
  `column projection_states.state json not null`,
  `column projection_states.version smallint not null`,
  `column projections.definition text not null`,
  `column projections.digest text not null default '0000000000000000'::text`,
  `column projections.epoch bigint not null default 0`,
  `column projections.events bigint not null default 0`,
  `column projections.failed_position bigint`,
  `column projections.failure text`,
  `column projections.failures bigint not null default 0`,
  `column projections.first_failed_at timestamp with time zone`,
  `column projections.incarnation uuid not null`,
  `column projections.is_set_up boolean not null default false`,
  `column projections.last_failed_at timestamp with time zone`,
  `column projections.leased_until timestamp with time zone`,
  `column projections.name text collate C not null`,
  `column projections.owner text`,
  `column projections.position bigint not null default 0`,
  `column projections.slice smallint not null default 0`,
  `column projections.start bigint not null default 0`,
  `column projections.status text not null default 'running'::text`,
  `column projections.updated_at timestamp with time zone not null default clock_timestamp()`,
  `column projections.version smallint not null`,
  `column snapshots.bytes bytea not null`,
  `column snapshots.compression text not null`,
  `column snapshots.digest bytea not null`,
  `column snapshots.fingerprint text collate C not null`,
  `column snapshots.first_revision integer not null`,
  `column snapshots.kind text collate C not null`,
  `column snapshots.load_millis double precision not null`,
  `column snapshots.plain_bytes integer not null`,
  `column snapshots.revision integer not null`,
  `column snapshots.serialization text not null`,
  `column snapshots.stream text collate C not null`,
  `column snapshots.taken_at timestamp with time zone not null`,
  `column streams.first_position bigint not null`,
  `column streams.first_recorded_at timestamp with time zone not null`,
  `column streams.is_tombstoned boolean not null default false`,
  `column streams.last_position bigint not null`,
  `column streams.last_recorded_at timestamp with time zone not null`,
  `column streams.metadata json not null default '{}'::json`,
  `column streams.name text collate C not null`,
  `column streams.revision integer not null`,
  `column streams.truncate_before integer not null default 0`,
  `constraint archives.archives_after_position_key UNIQUE (after_position)`,
  `constraint archives.archives_check CHECK (((after_position >= 0) AND (after_position < until_position)))`,
  `constraint archives.archives_check1 CHECK ((events = (until_position - after_position)))`,
  `constraint archives.archives_digest_check CHECK ((digest ~ '^[0-9a-f]{16}$'::text))`,
  `constraint archives.archives_pkey PRIMARY KEY (until_position)`,
  `constraint event_tags.event_tags_pkey PRIMARY KEY (tag, "position")`,
  `constraint functions.functions_pkey PRIMARY KEY (name)`,
  `constraint head.head_pkey PRIMARY KEY (id)`,
  `constraint migrations.migrations_pkey PRIMARY KEY (name)`,
  `constraint projection_builds.projection_builds_check CHECK (((status = 'current'::text) OR (NOT is_live)))`,
  `constraint projection_builds.projection_builds_name_check CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 512)))`,
  `constraint projection_builds.projection_builds_pkey PRIMARY KEY (name, version)`,
  `constraint projection_builds.projection_builds_status_check CHECK ((status = ANY (ARRAY['building'::text, 'current'::text, 'kept'::text, 'removed'::text])))`,
  `constraint projection_builds.projection_builds_version_check CHECK ((((version >= 1) AND (version <= 31999)) AND (((version)::integer % 1000) > 0)))`,
  `constraint projection_changes.projection_changes_pkey PRIMARY KEY (projection, version, change, id)`,
  `constraint projection_feeds.projection_feeds_pkey PRIMARY KEY (projection, version)`,
  `constraint projection_parked.projection_parked_pkey PRIMARY KEY (projection, version, slice, "position")`,
  `constraint projection_runners.projection_runners_owner_check CHECK (((octet_length(owner) >= 1) AND (octet_length(owner) <= 512)))`,
  `constraint projection_runners.projection_runners_pkey PRIMARY KEY (owner)`,
  `constraint projection_states.projection_states_key_check CHECK ((octet_length(key) <= 512))`,
  `constraint projection_states.projection_states_pkey PRIMARY KEY (projection, version, key)`,
  `constraint projections.projections_digest_check CHECK ((digest ~ '^[0-9a-f]{16}$'::text))`,
  `constraint projections.projections_name_check CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 512)))`,
  `constraint projections.projections_pkey PRIMARY KEY (name, version, slice)`,
  `constraint projections.projections_position_check CHECK (("position" >= 0))`,
  `constraint projections.projections_slice_check CHECK (((slice >= 0) AND (slice <= 1023)))`,
  `constraint projections.projections_start_check CHECK ((start >= 0))`,
  `constraint projections.projections_status_check CHECK ((status = ANY (ARRAY['running'::text, 'paused'::text, 'halted'::text])))`,
  `constraint projections.projections_version_check CHECK ((version > 0))`,
  `constraint snapshots.snapshots_check CHECK (((first_revision >= 0) AND (first_revision <= revision)))`,
  `constraint snapshots.snapshots_fingerprint_check CHECK ((octet_length(fingerprint) = 64))`,
  `constraint snapshots.snapshots_kind_check CHECK (((octet_length(kind) >= 1) AND (octet_length(kind) <= 512)))`,
  `constraint snapshots.snapshots_pkey PRIMARY KEY (stream, kind, fingerprint, revision)`,
  `constraint streams.streams_pkey PRIMARY KEY (name)`,
  `CREATE INDEX projection_states_changed_at ON projection_states USING btree (projection, version, changed_at) WHERE (changed_at IS NOT NULL)`,
  `CREATE INDEX snapshots_taken_at ON snapshots USING btree (taken_at)`,
  `CREATE UNIQUE INDEX archives_after_position_key ON archives USING btree (after_position)`,
  `CREATE UNIQUE INDEX archives_pkey ON archives USING btree (until_position)`,
  `CREATE UNIQUE INDEX event_tags_pkey ON event_tags USING btree (tag, "position")`,
  `CREATE UNIQUE INDEX events_default_id ON events_default USING btree (id)`,
  `CREATE UNIQUE INDEX events_default_position ON events_default USING btree ("position")`,
  `CREATE UNIQUE INDEX events_default_stream_revision ON events_default USING btree (stream, revision)`,
  `CREATE UNIQUE INDEX functions_pkey ON functions USING btree (name)`,
  `CREATE UNIQUE INDEX head_pkey ON head USING btree (id)`,
  `CREATE UNIQUE INDEX migrations_pkey ON migrations USING btree (name)`,
  `CREATE UNIQUE INDEX projection_builds_current ON projection_builds USING btree (name, (((version)::integer % 1000))) WHERE (status = 'current'::text)`,
  `CREATE UNIQUE INDEX projection_builds_live ON projection_builds USING btree (name) WHERE is_live`,
  `CREATE UNIQUE INDEX projection_builds_pkey ON projection_builds USING btree (name, version)`,
  `CREATE UNIQUE INDEX projection_changes_pkey ON projection_changes USING btree (projection, version, change, id)`,
  `CREATE UNIQUE INDEX projection_feeds_pkey ON projection_feeds USING btree (projection, version)`,
  `CREATE UNIQUE INDEX projection_parked_pkey ON projection_parked USING btree (projection, version, slice, "position")`,
  `CREATE UNIQUE INDEX projection_runners_pkey ON projection_runners USING btree (owner)`,
  `CREATE UNIQUE INDEX projection_states_pkey ON projection_states USING btree (projection, version, key)`,
  `CREATE UNIQUE INDEX projections_pkey ON projections USING btree (name, version, slice)`,
  `CREATE UNIQUE INDEX snapshots_pkey ON snapshots USING btree (stream, kind, fingerprint, revision)`,
  `CREATE UNIQUE INDEX streams_pkey ON streams USING btree (name)`,
  `CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON event_tags FOR EACH ROW EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON events_default FOR EACH ROW EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_tags FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events_default FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
  `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON projection_builds FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_restoring()`,
  `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON projections FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_restoring()`,
  `CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON snapshots FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_restoring()`,
  `view categories (category text, streams bigint, events bigint, first_recorded_at timestamp with time zone, last_recorded_at timestamp with time zone) as SELECT split_part(name, '-'::text, 1) AS category, count(*) AS streams, sum((revision + 1)) AS events, min(first_recorded_at) AS first_recorded_at, max(last_recorded_at) AS last_recorded_at FROM streams GROUP BY (split_part(name, '-'::text, 1));`,
  `view event_types (type text, version smallint, events bigint, first_recorded_at timestamp with time zone, last_recorded_at timestamp with time zone) as SELECT type, version, count(*) AS events, min(recorded_at) AS first_recorded_at, max(recorded_at) AS last_recorded_at FROM events GROUP BY type, version;`,
  `view events_jsonb (position bigint, stream text, category text, revision integer, id uuid, type text, version smallint, data jsonb, metadata jsonb, tags text[], recorded_at timestamp with time zone) as SELECT "position", stream, split_part(stream, '-'::text, 1) AS category, revision, id, type, version, (data)::jsonb AS data, CASE WHEN (data IS NOT NULL) THEN (COALESCE(metadata, '{}'::json))::jsonb ELSE NULL::jsonb END AS metadata, COALESCE(tags, '{}'::text[]) AS tags, recorded_at FROM events;`,
  `function append_each(p_stream text[], p_expected integer[], p_count integer[], p_of integer[], p_request integer[], p_index integer[], p_id uuid[], p_type text[], p_version smallint[], p_data text[], p_metadata text[], p_tags text[], p_claim integer[], p_claim_stream text[], p_claim_expected integer[], p_condition integer[], p_after bigint[], p_types text[], p_match text[], p_id_from timestamp with time zone, p_id_to timestamp with time zone, p_check_ids boolean, p_notify boolean) returns TABLE(outcome integer, stream text, revision integer, "position" bigint, last_position bigint, id uuid) set search_path=its schema, pg_temp, body d209a91309f2b38c302a045ae767778d`,
  `function append_many(p_stream text[], p_expected integer[], p_count integer[], p_request integer[], p_index integer[], p_id uuid[], p_type text[], p_version smallint[], p_data text[], p_metadata text[], p_tags text[], p_condition integer[], p_after bigint[], p_types text[], p_match text[], p_is_shared boolean, p_id_from timestamp with time zone, p_id_to timestamp with time zone, p_check_ids boolean, p_notify boolean) returns TABLE(outcome integer, revision integer, "position" bigint, last_position bigint, id uuid) set search_path=its schema, pg_temp, body b86c80c3972cc23603cbd87b45cadf14`,
  `function append_one(p_stream text, p_expected integer, p_id uuid, p_type text, p_version smallint, p_data text, p_metadata text, p_id_time timestamp with time zone, p_notify boolean) returns double precision[] set search_path=its schema, pg_temp, body fd2df94a9e8f9ad610f3bbedbbeed5bc`,
  `function begin_change(of_projection text, of_version smallint, at bigint, OUT number bigint, OUT reached bigint) returns record set search_path=its schema, pg_temp, body e93560ad3412761d71cd8684cdfdf56c`,
  `function create_events_partition(month date) returns boolean set search_path=its schema, pg_temp, TimeZone=UTC, DateStyle=ISO, lock_timeout=5s, body 31890f13a59750c5189a5e4faf2c1882`,
  `function create_optional_index(kind text) returns void set search_path=its schema, pg_temp, body f263b9c3924007f4471fc2ca57b2cca0`,
  `function ensure_events_partitions(ahead integer) returns integer set search_path=its schema, pg_temp, body d13517ac169b00fa8b2aa1378281af78`,
  `function find_recorded(since timestamp with time zone, request integer[], write integer[], index integer[], stream text[], id uuid[], type text[], version smallint[], data text[], tags text[]) returns TABLE(request_no integer, write_no integer, outcome integer, revision integer, "position" bigint, last_position bigint, id_used uuid) set search_path=its schema, pg_temp, plan_cache_mode=force_generic_plan, body 2c067738422f571ca8591d6d532658b8`,
  `function first_match(after bigint, types text[], tags text[]) returns bigint set search_path=its schema, pg_temp, plan_cache_mode=force_generic_plan, body a73ac3612bb1505b0dcb95debb9e1cc0`,
  `function forget_changes(of_projection text, of_version smallint, until_position bigint) returns void set search_path=its schema, pg_temp, body bc4209172ca2c15d1a809db0f38999d7`,
  `function record_row() returns trigger set search_path=its schema, pg_temp, body f94aa3a048120431b286769b720ad6b8`,
  `function record_states(of_projection text, of_version smallint, keys text[], removed boolean[]) returns void set search_path=its schema, pg_temp, body 7bb71ae2d8ee5101ebeeb636801c005d`,
  `function refuse_change() returns trigger, body 4658f0cb4ade967f58b6868de7afffe5`,
  `function refuse_while_restoring() returns trigger set search_path=its schema, pg_temp, body e8da5811ec74037d385a084832689164`,
  `function verify_log() returns TABLE(fault text, found bigint, example text) stable set search_path=its schema, pg_temp, body b2feaaebe78743e73eb61749f2041070`,
  `function watch_table(of_projection text, of_version smallint, source text, relation text) returns void set search_path=its schema, pg_temp, body 21f960706449b687fda462242e2d4115`
]
