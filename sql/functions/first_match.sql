-- Finds the first event after a position that has one of the types and all of
-- the tags.
--
-- after    position, exclusive
-- types    any of these; null or empty for every type
-- tags     all of these; null or empty for no demand on tags (then types has one)
-- returns  the position, or null when there is none
--
-- Tags are intersected by leaps: each tag's next position at or after the
-- furthest one found so far, until all agree. That takes as many steps as the
-- rarest tag has events, however common the others are.
CREATE OR REPLACE FUNCTION event_store.first_match(after bigint, types text[], tags text[])
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
$$;
