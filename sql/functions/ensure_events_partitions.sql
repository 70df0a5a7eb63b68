-- Makes the partitions of this month and of the months ahead.
--
-- ahead    months after this one, 0 or more
-- returns  how many were made now
--
-- Run as the owner, at least once in `ahead` months. Nothing is lost when that
-- fails to happen: events go to the default partition until it does.
CREATE OR REPLACE FUNCTION event_store.ensure_events_partitions(ahead integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  this_month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
  made integer := 0;
BEGIN
  FOR step IN 0..ahead LOOP
    IF create_events_partition((this_month + make_interval(months => step))::date) THEN
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END
$$;
