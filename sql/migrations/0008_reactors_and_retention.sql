-- Reactors begin somewhere in the log, and states may grow old.

-- Where a reactor began: what stands up to here it never saw.
ALTER TABLE event_store.projections ADD COLUMN start bigint NOT NULL DEFAULT 0 CHECK (start >= 0);

-- When the event was recorded that changed a state last; of states that are forgotten when they are old.
ALTER TABLE event_store.projection_states ADD COLUMN changed_at timestamptz;

CREATE INDEX projection_states_changed_at ON event_store.projection_states (projection, version, changed_at)
  WHERE changed_at IS NOT NULL;
