-- Records states that the commit under way changes.
--
-- keys     keys of the states
-- removed  one a key: whether the state is removed
CREATE OR REPLACE FUNCTION event_store.record_states(
  of_projection text, of_version smallint, keys text[], removed boolean[]
)
RETURNS void
LANGUAGE sql
SET search_path = event_store, pg_temp
AS $$
  INSERT INTO projection_changes (projection, version, change, id, position, key, is_removal)
  SELECT $1, $2, c.number, sha256(convert_to(s.key, 'UTF8')), c.reached, s.key, s.is_removal
  FROM begin_change($1, $2, NULL) c, unnest($3, $4) s (key, is_removal)
  ON CONFLICT (projection, version, change, id) DO UPDATE SET is_removal = excluded.is_removal
$$;
