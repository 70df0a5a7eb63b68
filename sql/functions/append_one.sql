-- Appends one event to one stream: the body for a lone append without a
-- condition, which is most of them when few write at a time.
--
-- p_stream, p_expected
--              its stream, and its claim (a revision, -1 no stream, -2 anything,
--              -3 the stream exists)
-- p_id, p_type, p_version, p_data, p_metadata, p_tags
--              the event; data and metadata are JSON text, metadata null for {},
--              tags joined by U+001F or null for none
-- p_id_time    time in the id, null unless it is a UUIDv7
-- p_check_ids  whether the id may be recorded already (a retry)
-- p_notify     whether to wake those who listen to the channel named like the
--              schema and hold the listeners' lock
-- returns      outcome, revision, position and last position, as a row of
--              append_many has them: one value costs less than one row
--
-- READ COMMITTED only: what committed before the lock was taken must be seen.
-- The sessions of the store ask for generic plans (WRITER in PgEventStore.ts).
CREATE OR REPLACE FUNCTION event_store.append_one(
  p_stream text, p_expected integer,
  p_id uuid, p_type text, p_version smallint, p_data text, p_metadata text, p_tags text,
  p_id_time timestamptz, p_check_ids boolean, p_notify boolean
)
RETURNS float8[]
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_outcome integer;
  v_revision integer;
  v_place bigint;
  v_until bigint;
  v_position bigint;
  v_at timestamptz;
  v_horizon timestamptz;
  v_last integer;
  v_since timestamptz;
  v_check boolean;
  r record;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'appends need READ COMMITTED' USING ERRCODE = 'ES002';
  END IF;
  -- an expression: a query would cost as much again as the lock
  IF pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer) IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT h.position, greatest(h.recorded_at, clock_timestamp()), h.id_horizon,
    (SELECT CASE WHEN t.is_tombstoned THEN -2 - t.revision ELSE t.revision END FROM streams t WHERE t.name = p_stream)
  INTO STRICT v_position, v_at, v_horizon, v_last FROM head h WHERE h.id = 1;

  v_outcome := CASE
    WHEN v_last < -1 THEN 4
    WHEN p_expected = -2 OR p_expected = coalesce(v_last, -1) OR (p_expected = -3 AND v_last IS NOT NULL) THEN 0
    ELSE 2 END;
  v_revision := v_last;

  -- As in append_many: ids that may be recorded, and appends that fail, are looked up.
  v_since := CASE WHEN p_id_time > v_horizon THEN p_id_time - interval '1 hour' ELSE '-infinity' END;
  v_check := p_check_ids OR v_since < date_trunc('month', v_at, 'UTC') OR p_id_time > v_at + interval '1 hour';
  IF v_check OR v_outcome <> 0 THEN
    FOR r IN
      SELECT * FROM find_recorded(v_since, ARRAY[1], ARRAY[1], ARRAY[0], ARRAY[p_stream], ARRAY[p_id], ARRAY[p_type],
        ARRAY[p_version], ARRAY[p_data], ARRAY[p_tags])
    LOOP
      v_outcome := r.outcome;
      v_revision := r.revision;
      v_place := r.position;
      v_until := r.last_position;
    END LOOP;
  END IF;

  IF v_outcome = 0 THEN
    v_position := v_position + 1;
    v_revision := coalesce(v_last, -1) + 1;
    v_place := v_position;
    IF v_last IS NULL THEN
      INSERT INTO streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
      VALUES (p_stream, 0, v_position, v_position, v_at, v_at);
    ELSE
      UPDATE streams t SET revision = t.revision + 1, last_position = v_position, last_recorded_at = v_at
      WHERE t.name = p_stream;
    END IF;
    INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
    VALUES (v_position, p_stream, v_revision, p_id, p_type, p_version, p_data::json, p_metadata::json,
      string_to_array(p_tags, E'\x1f'), v_at);
    IF p_tags IS NOT NULL THEN
      INSERT INTO event_tags (tag, position, type)
      SELECT x.tag, v_position, p_type FROM unnest(string_to_array(p_tags, E'\x1f')) AS x (tag);
    END IF;
    UPDATE head h SET position = v_position, recorded_at = v_at,
      id_horizon = CASE WHEN p_id_time > v_at + interval '1 hour' THEN greatest(h.id_horizon, p_id_time) ELSE h.id_horizon END
    WHERE h.id = 1;
    -- only when somebody listens: they hold this lock shared (NOTIFY costs as much as an index)
    IF p_notify AND NOT pg_try_advisory_xact_lock(1163088962, 'head'::regclass::oid::integer) THEN
      PERFORM pg_notify(current_schema(), '');
    END IF;
  END IF;
  RETURN ARRAY[v_outcome, v_revision, v_place, v_until]::float8[];
END
$$;
