-- Numbers the commit under way in the feed of a projection, once: the number
-- after that of the commit before, which is waited for.
--
-- at       where the checkpoint stands after the commit; null for where it stands
-- returns  the number, and where the checkpoint stands
CREATE OR REPLACE FUNCTION event_store.begin_change(
  of_projection text, of_version smallint, at bigint, OUT number bigint, OUT reached bigint
)
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  -- number, position, and whose they are: one transaction may change several projections
  mark text[] := string_to_array(coalesce(current_setting('eventstore.change', true), ''), ' ');
  owner text := of_version || ':' || encode(convert_to(of_projection, 'UTF8'), 'hex');
BEGIN
  IF mark[3] = owner THEN
    number := mark[1];
    reached := mark[2];
    RETURN;
  END IF;
  INSERT INTO projection_feeds AS f (projection, version, change) VALUES (of_projection, of_version, 1)
    ON CONFLICT (projection, version) DO UPDATE SET change = f.change + 1
    RETURNING f.change INTO number;
  reached := coalesce(at, (
    SELECT max(p.position) FROM projections p WHERE p.name = of_projection AND p.version = of_version), 0);
  PERFORM set_config('eventstore.change', number || ' ' || reached || ' ' || owner, true);
END
$$;
