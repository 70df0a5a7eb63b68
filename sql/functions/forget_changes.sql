-- Forgets the changes of a projection whose commit left the checkpoint at a
-- position or before it; those up to the first one that did not.
CREATE OR REPLACE FUNCTION event_store.forget_changes(of_projection text, of_version smallint, until_position bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  first_kept bigint;
BEGIN
  -- a commit under way has a number, and rows that nobody sees yet
  PERFORM FROM projection_feeds f WHERE f.projection = of_projection AND f.version = of_version FOR UPDATE;
  SELECT c.change INTO first_kept FROM projection_changes c
    WHERE c.projection = of_projection AND c.version = of_version AND c.position > until_position
    ORDER BY c.change LIMIT 1;
  DELETE FROM projection_changes c
    WHERE c.projection = of_projection AND c.version = of_version AND (c.change < first_kept OR first_kept IS NULL);
  UPDATE projection_feeds f SET forgotten = greatest(f.forgotten, coalesce(first_kept - 1, f.change))
    WHERE f.projection = of_projection AND f.version = of_version;
END
$$;
