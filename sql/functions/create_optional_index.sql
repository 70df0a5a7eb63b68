-- Makes an index that not every store wants, when it is not there.
--
-- kind     'type': events by type, for reads filtered by type (appends cost
--          about a fifth more); 'data': GIN on data as jsonb, for questions
--          about content (appends cost up to four times as much, and an event
--          whose data is not valid jsonb is refused from then on)
--
-- Run as the owner. Locks the events against appends while it is made.
CREATE OR REPLACE FUNCTION event_store.create_optional_index(kind text)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
BEGIN
  CASE kind
    WHEN 'type' THEN
      CREATE INDEX IF NOT EXISTS events_type_position ON events (type, position);
    WHEN 'data' THEN
      CREATE INDEX IF NOT EXISTS events_data ON events USING gin ((data::jsonb) jsonb_path_ops);
    ELSE
      RAISE EXCEPTION 'no index of kind %: type or data', kind USING ERRCODE = '22023';
  END CASE;
END
$$;
