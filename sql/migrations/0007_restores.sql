-- Restores: a store that is being restored takes no events, and a restored one
-- knows of which history it is the continuation.

ALTER TABLE event_store.head
  -- the history that this one goes on from, and the last position that both have
  ADD COLUMN parent uuid,
  ADD COLUMN parent_position bigint,
  -- the restore that is under way, or was broken off: what is restored, how far it has come, and whose it is
  ADD COLUMN restoring jsonb;

-- Projections and snapshots come with what is restored.
CREATE FUNCTION event_store.refuse_while_restoring() RETURNS trigger
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM head h WHERE h.restoring IS NOT NULL) THEN
    RAISE EXCEPTION 'the store is being restored, or a restore was broken off' USING ERRCODE = 'ES005';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.projection_builds
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring();

CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.projections
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring();

CREATE TRIGGER refuse_while_restoring BEFORE INSERT ON event_store.snapshots
  FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_while_restoring();
