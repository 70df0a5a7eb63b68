-- Judges appends by their event ids: which ones use an id that is recorded.
--
-- since     no event that may hold one of the ids was recorded before
-- request   one an event: number of its request
-- write     one an event: number of its write, over all requests
-- index     one an event: 0, 1, 2, … in its write
-- stream    one an event
-- id, type, version, data, tags
--           one an event; tags joined by U+001F, null for none
-- returns   no row for a request of which no id is recorded; else one a write:
--           outcome 1 (the request is recorded as it is), with the revision and
--           the position of the write's first event and the position of its
--           last one, or
--           outcome 5 (an id is used again for something else), with the first
--           such id and where it is recorded
--
-- Of an archived event the data is not here to be compared: the rest decides.
--
-- A write is recorded as it is when its events stand side by side in its
-- stream; in the log others may stand between them, when they were appended in
-- parts.
CREATE OR REPLACE FUNCTION event_store.find_recorded(
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
        AND e.tags IS NOT DISTINCT FROM string_to_array(a.tags, E'\x1f') AS is_same
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
$$;
