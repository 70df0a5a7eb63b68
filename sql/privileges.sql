-- What the roles of a running application may do. Applied on request, after
-- the migrations, by the owner; may be applied again.
--
-- event_store_reader  reads everything
-- event_store_backup  the same, for those who make backups
-- event_store_writer  appends as well; cannot update or delete an event
--
-- To archive months, and to bring them back, takes the owner: tables change hands.

DO $$
BEGIN
  CREATE ROLE event_store_reader NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
  CREATE ROLE event_store_backup NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
  CREATE ROLE event_store_writer NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

REVOKE ALL ON SCHEMA event_store FROM PUBLIC;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA event_store FROM PUBLIC;

GRANT USAGE ON SCHEMA event_store TO event_store_reader, event_store_backup, event_store_writer;

GRANT SELECT ON ALL TABLES IN SCHEMA event_store TO event_store_reader, event_store_backup, event_store_writer;

ALTER DEFAULT PRIVILEGES IN SCHEMA event_store
  GRANT SELECT ON TABLES TO event_store_reader, event_store_backup, event_store_writer;

-- Months are partitions: INSERT is asked for on the parent only.
GRANT INSERT ON event_store.events, event_store.event_tags, event_store.streams TO event_store_writer;

-- Not the name, not the first event, not what cannot be undone in between.
GRANT UPDATE (revision, last_position, last_recorded_at, truncate_before, is_tombstoned, metadata)
  ON event_store.streams TO event_store_writer;

GRANT UPDATE (position, recorded_at, id_horizon) ON event_store.head TO event_store_writer;

-- A snapshot can be made again from its events.
GRANT INSERT, UPDATE, DELETE ON event_store.snapshots TO event_store_writer;

-- A projection can be built again from the log. Its own tables are made, and granted, where they stand.
GRANT INSERT, UPDATE, DELETE ON event_store.projections, event_store.projection_states, event_store.projection_parked
  TO event_store_writer;

GRANT INSERT, UPDATE ON event_store.projection_builds TO event_store_writer;

GRANT INSERT, UPDATE, DELETE ON event_store.projection_runners TO event_store_writer;

-- Changes are forgotten after a while.
GRANT INSERT, UPDATE, DELETE ON event_store.projection_feeds, event_store.projection_changes TO event_store_writer;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA event_store TO event_store_writer;

REVOKE EXECUTE ON FUNCTION event_store.create_events_partition(date), event_store.ensure_events_partitions(integer),
  event_store.create_optional_index(text) FROM event_store_writer;

GRANT EXECUTE ON FUNCTION event_store.first_match(bigint, text[], text[]), event_store.verify_log()
  TO event_store_reader, event_store_backup;
