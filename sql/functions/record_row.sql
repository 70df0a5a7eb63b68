-- Records rows that a statement changes in a table of a projection. A trigger,
-- made by watch_table; its arguments are the projection, its version with the
-- build, the name of the table, and the columns of its primary key.
CREATE OR REPLACE FUNCTION event_store.record_row()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  of_version smallint := TG_ARGV[1];
  number bigint;
  reached bigint;
  before_key text;
  after_key text;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    -- nobody can say which rows are gone: a new feed begins
    UPDATE projection_feeds f SET id = gen_random_uuid(), forgotten = f.change
      WHERE f.projection = TG_ARGV[0] AND f.version = of_version;
    RETURN NULL;
  END IF;
  SELECT c.number, c.reached INTO number, reached FROM begin_change(TG_ARGV[0], of_version, NULL) c;
  IF TG_OP <> 'INSERT' THEN
    before_key := (SELECT jsonb_object_agg(k, to_jsonb(OLD) ->> k) FROM unnest(TG_ARGV[3:]) k);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    after_key := (SELECT jsonb_object_agg(k, to_jsonb(NEW) ->> k) FROM unnest(TG_ARGV[3:]) k);
  END IF;
  INSERT INTO projection_changes (projection, version, change, id, position, source, key, is_removal)
  SELECT TG_ARGV[0], of_version, number, sha256(convert_to(TG_ARGV[2] || ' ' || c.key, 'UTF8')), reached, TG_ARGV[2],
    c.key, c.is_removal
  FROM (VALUES (before_key, true), (after_key, false)) c (key, is_removal)
  WHERE c.key IS NOT NULL AND (NOT c.is_removal OR c.key IS DISTINCT FROM after_key)
  ON CONFLICT (projection, version, change, id) DO UPDATE SET is_removal = excluded.is_removal;
  RETURN NULL;
END
$$;
