-- Makes the partition of one month, when it is not there.
--
-- month    any day of the month, in UTC
-- returns  whether it was made now
--
-- Events of the month that the default partition caught are moved into it. Run
-- as the owner; waits for appends and reads under way and holds them up while it
-- moves. Gives up after 5 seconds of waiting, so that a long read (a dump of the
-- database) does not hold up the appends: try again after it.
CREATE OR REPLACE FUNCTION event_store.create_events_partition(month date)
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
$$;
