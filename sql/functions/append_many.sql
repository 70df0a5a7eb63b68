-- Appends a batch of requests with one write each, as sets: the body for more
-- than a few of them. Each request is judged on its own; one that fails does
-- not disturb the others.
--
-- Requests on one stream may stand in a batch only when all of them claim
-- nothing (-2) and have no condition, and no request's condition may match an
-- event of the same batch: append_each takes the batches that break this.
--
-- p_stream, p_expected, p_count
--              one a request: its stream, its claim (a revision, -1 no stream,
--              -2 anything, -3 the stream exists), its number of events
-- p_request, p_index
--              one an event: number of its request (1, 2, …), 0, 1, … in it
-- p_id, p_type, p_version, p_data, p_metadata, p_tags
--              one an event; data and metadata are JSON text, metadata null for
--              {}, tags joined by U+001F or null for none; p_tags null when no
--              event has any
-- p_condition, p_after, p_types, p_match
--              one an item of a condition: number of its request, position
--              (exclusive), types and tags joined by U+001F, null for any;
--              p_condition null when there are none
-- p_id_from, p_id_to
--              earliest and latest time in the ids, null unless all are UUIDv7
-- p_check_ids  whether ids may be recorded already (a retry)
-- p_notify     whether to wake listeners of the channel named like the schema
-- returns      one row a request, in order:
--              outcome 0 appended: first revision, first position
--                      1 appended before: first revision, first and last position
--                      2 claim not met: last revision, null for no stream
--                      3 condition not met: position of a match
--                      4 tombstoned
--                      5 id used for something else: that id, its position
--                      6 condition after a position that the log has not
--                        reached: the last position
--
-- READ COMMITTED only: what committed before the lock was taken must be seen.
CREATE OR REPLACE FUNCTION event_store.append_many(
  p_stream text[], p_expected integer[], p_count integer[],
  p_request integer[], p_index integer[],
  p_id uuid[], p_type text[], p_version smallint[], p_data text[], p_metadata text[], p_tags text[],
  p_condition integer[], p_after bigint[], p_types text[], p_match text[],
  p_id_from timestamptz, p_id_to timestamptz, p_check_ids boolean, p_notify boolean
)
RETURNS TABLE (outcome integer, revision integer, "position" bigint, last_position bigint, id uuid)
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
SET plan_cache_mode = force_generic_plan
SET jit = off
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
  v_first_revision integer[];
  v_first_position bigint[];
  v_place bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]);
  v_until bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]);
  v_used uuid[] := array_fill(NULL::uuid, ARRAY[cardinality(p_stream)]);
  v_total integer;
  v_inserted integer;
  r record;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'appends need READ COMMITTED' USING ERRCODE = 'ES002';
  END IF;
  PERFORM pg_advisory_xact_lock(1163088961, 'head'::regclass::oid::integer);
  SELECT h.position, greatest(h.recorded_at, clock_timestamp()), h.id_horizon
  INTO STRICT v_position, v_at, v_horizon FROM head h WHERE h.id = 1;

  -- An id whose time lies in this month was not recorded in an earlier one, so
  -- the partition's own index answers for it; all others are looked up.
  v_since := CASE WHEN p_id_from > v_horizon THEN p_id_from - interval '1 hour' ELSE '-infinity' END;
  v_check := p_check_ids OR v_since < date_trunc('month', v_at, 'UTC') OR p_id_to > v_at + interval '1 hour';

  SELECT array_agg(CASE
      WHEN z.last < -1 THEN 4
      WHEN z.x = -2 OR z.x = coalesce(z.last, -1) OR (z.x = -3 AND z.last IS NOT NULL) THEN 0
      ELSE 2 END ORDER BY z.o),
    array_agg(z.last ORDER BY z.o)
  INTO v_outcome, v_last
  FROM (SELECT u.o, u.x, (SELECT CASE WHEN t.is_tombstoned THEN -2 - t.revision ELSE t.revision END
                          FROM streams t WHERE t.name = u.s) AS last
        FROM unnest(p_stream, p_expected) WITH ORDINALITY AS u (s, x, o) OFFSET 0) z;

  IF p_condition IS NOT NULL THEN
    FOR r IN
      SELECT q.o, q.after, first_match(q.after, string_to_array(q.types, E'\x1f'), string_to_array(q.tags, E'\x1f')) AS place
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

  WITH g AS MATERIALIZED (
    SELECT u.o, u.s, u.n, u.last IS NULL AS is_new,
      coalesce(u.last, -1) + 1 + (sum(u.n) OVER (PARTITION BY u.s ORDER BY u.o) - u.n)::integer AS first_revision,
      v_position + sum(u.n) OVER (ORDER BY u.o) - u.n AS before
    FROM unnest(p_stream, p_count, v_outcome, v_last) WITH ORDINALITY AS u (s, n, k, last, o)
    WHERE u.k = 0
  ), s AS MATERIALIZED (
    SELECT g.s AS name, bool_or(g.is_new) AS is_new, max(g.first_revision + g.n) - 1 AS revision,
      min(g.before) + 1 AS first_position, max(g.before + g.n) AS last_position
    FROM g GROUP BY g.s
  ), made AS (
    INSERT INTO streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
    SELECT s.name, s.revision, s.first_position, s.last_position, v_at, v_at FROM s WHERE s.is_new
  ), moved AS (
    UPDATE streams t SET revision = s.revision, last_position = s.last_position, last_recorded_at = v_at
    FROM s WHERE NOT s.is_new AND t.name = s.name
  ), recorded AS (
    INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
    SELECT g.before + e.i + 1, g.s, g.first_revision + e.i, e.id, e.type, e.version, e.data::json, e.metadata::json,
      string_to_array(e.tags, E'\x1f'), v_at
    FROM unnest(p_request, p_index, p_id, p_type, p_version, p_data, p_metadata, p_tags)
      AS e (o, i, id, type, version, data, metadata, tags)
    JOIN g ON g.o = e.o
    RETURNING 1
  )
  SELECT coalesce((SELECT sum(g.n) FROM g), 0), (SELECT count(*) FROM recorded),
    (SELECT array_agg(a.first_revision ORDER BY u.o) FROM unnest(v_outcome) WITH ORDINALITY AS u (k, o) LEFT JOIN g a ON a.o = u.o),
    (SELECT array_agg(a.before + 1 ORDER BY u.o) FROM unnest(v_outcome) WITH ORDINALITY AS u (k, o) LEFT JOIN g a ON a.o = u.o)
  INTO v_total, v_inserted, v_first_revision, v_first_position;

  IF v_inserted <> v_total THEN
    RAISE EXCEPTION 'recorded % of % events', v_inserted, v_total USING ERRCODE = 'ES003';
  END IF;
  IF v_total > 0 THEN
    IF p_tags IS NOT NULL THEN
      INSERT INTO event_tags (tag, position, type)
      SELECT x.tag, v_first_position[e.o] + e.i, e.type
      FROM unnest(p_request, p_index, p_type, p_tags) AS e (o, i, type, tags),
        unnest(string_to_array(e.tags, E'\x1f')) AS x (tag)
      WHERE v_outcome[e.o] = 0;
    END IF;
    UPDATE head h SET position = v_position + v_total, recorded_at = v_at,
      id_horizon = CASE WHEN p_id_to > v_at + interval '1 hour' THEN greatest(h.id_horizon, p_id_to) ELSE h.id_horizon END
    WHERE h.id = 1;
    IF p_notify THEN
      PERFORM pg_notify(current_schema(), '');
    END IF;
  END IF;
  RETURN QUERY SELECT u.k,
    CASE WHEN u.k = 0 THEN u.first_revision WHEN u.k IN (1, 2) THEN u.last END,
    CASE WHEN u.k = 0 THEN u.first_position ELSE u.place END, u.until, u.used
  FROM unnest(v_outcome, v_last, v_place, v_until, v_used, v_first_revision, v_first_position)
    AS u (k, last, place, until, used, first_revision, first_position);
END
$$;
