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
-- p_is_shared  whether requests share a stream
-- p_id_from, p_id_to
--              earliest and latest time in the ids, null unless all are UUIDv7
-- p_check_ids  whether ids may be recorded already (a retry)
-- p_notify     whether to wake those who listen to the channel named like the
--              schema and hold the listeners' lock
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
-- The sessions of the store ask for generic plans (WRITER in sessions.ts).
CREATE OR REPLACE FUNCTION event_store.append_many(
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
      SELECT q.o, q.after, CASE WHEN position(E'\x1f' IN q.tags) = 0
        THEN (SELECT t.position FROM event_tags t
              WHERE t.tag = q.tags AND t.position > q.after
                AND (q.types IS NULL OR t.type = ANY (string_to_array(q.types, E'\x1f')))
              ORDER BY t.position LIMIT 1)
        ELSE first_match(q.after, string_to_array(q.types, E'\x1f'), string_to_array(q.tags, E'\x1f')) END AS place
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
      e.id, e.type, e.version, e.data::json, e.metadata::json, string_to_array(e.tags, E'\x1f'), v_at
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
        unnest(string_to_array(e.tags, E'\x1f')) AS x (tag)
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
$$;
