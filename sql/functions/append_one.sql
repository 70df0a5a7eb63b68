-- Appends one event without tags to one stream: the body for a lone append
-- without a condition, which is most of them when few write at a time.
--
-- p_stream, p_expected
--              its stream, and its claim (a revision, -1 no stream, -2 anything,
--              -3 the stream exists)
-- p_id, p_type, p_version, p_data, p_metadata
--              the event; data and metadata are JSON text, metadata null for {}
-- p_id_time    time in the id, a UUIDv7 that is not a retry's
-- p_notify     whether to wake those who listen to the channel named like the
--              schema and hold the listeners' lock
-- returns      outcome, revision, position and last position, as a row of
--              append_each has them: one value costs less than one row
--
-- Only the plain case stands here, and append_each answers all others. A
-- statement or an expression is made ready anew in every transaction, so each
-- one counts.
--
-- READ COMMITTED only: what committed before the lock was taken must be seen.
-- (Anything stricter fails at the head's row once another append has committed.)
-- The sessions of the store ask for generic plans (WRITER in sessions.ts).
CREATE OR REPLACE FUNCTION event_store.append_one(
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
$$;
