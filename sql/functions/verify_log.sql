-- Checks what no single index can: the log as a whole. Reads every event.
--
-- returns  one row a kind of fault that was found, with how many and an example;
--          no row for a sound log
CREATE OR REPLACE FUNCTION event_store.verify_log()
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
$$;
