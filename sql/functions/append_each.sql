-- Appends a batch of requests one after the other: the body for a few of them,
-- for requests with several writes or claims on other streams, and for requests
-- that meet in one stream or condition. Each request is judged on its own and
-- sees those before it; one that fails does not disturb the others.
--
-- p_stream, p_expected, p_count, p_of
--              one a write: its stream, its claim (a revision, -1 no stream,
--              -2 anything, -3 the stream exists), its number of events, the
--              number of its request (1, 1, 2, …)
-- p_request, p_index
--              one an event: number of its write (1, 2, …), 0, 1, … in it
-- p_id, p_type, p_version, p_data, p_metadata, p_tags
--              one an event; data and metadata are JSON text, metadata null for
--              {}, tags joined by U+001F or null for none; p_tags null when no
--              event has any
-- p_claim, p_claim_stream, p_claim_expected
--              one a claim on a stream that is not written to: number of its
--              request, stream, claim; p_claim null when there are none
-- p_condition, p_after, p_types, p_match
--              one an item of a condition: number of its request, position
--              (exclusive), types and tags joined by U+001F, null for any;
--              p_condition null when there are none
-- p_id_from, p_id_to
--              earliest and latest time in the ids, null unless all are UUIDv7
-- p_check_ids  whether ids may be recorded already (a retry)
-- p_notify     whether to wake those who listen to the channel named like the
--              schema and hold the listeners' lock
-- returns      one row a write, in order:
--              outcome 0 appended: first revision, first position
--                      1 appended before: first revision, first and last position
--                      2 claim not met: stream, last revision, null for none
--                      3 condition not met: position of a match
--                      4 tombstoned: stream
--                      5 id used for something else: that id, its position
--                      6 condition after a position that the log has not
--                        reached: the last position
--              2 to 6 stand in the rows of all writes of the request
--
-- READ COMMITTED only: what committed before the lock was taken must be seen.
-- The sessions of the store ask for generic plans (WRITER in sessions.ts).
CREATE OR REPLACE FUNCTION event_store.append_each(
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
      SELECT min(first_match(q.after, string_to_array(q.types, E'\x1f'), string_to_array(q.tags, E'\x1f'))) INTO v_place
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
            p_data[v_next]::json, p_metadata[v_next]::json, string_to_array(p_tags[v_next], E'\x1f'), v_at);
        ELSE
          INSERT INTO events (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
          SELECT v_position + e.o, p_stream[w], coalesce(v_last, -1) + e.o, e.id, e.type, e.version, e.data::json,
            e.metadata::json, string_to_array(e.tags, E'\x1f'), v_at
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
            WITH ORDINALITY AS e (type, tags, o), unnest(string_to_array(e.tags, E'\x1f')) AS x (tag);
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
$$;
