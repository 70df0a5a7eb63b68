-- Slices: a projection may be divided, so that several runners work on it. Each
-- slice is a row with a checkpoint and a lease of its own.

ALTER TABLE event_store.projections
  ADD COLUMN slice smallint NOT NULL DEFAULT 0 CHECK (slice BETWEEN 0 AND 1023),
  DROP CONSTRAINT projections_pkey,
  ADD PRIMARY KEY (name, version, slice);

-- An event is of one slice.
ALTER TABLE event_store.projection_parked
  ADD COLUMN slice smallint NOT NULL DEFAULT 0,
  DROP CONSTRAINT projection_parked_pkey,
  ADD PRIMARY KEY (projection, version, slice, position);

-- Runners that are there, so that they can share the work.
CREATE TABLE event_store.projection_runners (
  owner text COLLATE "C" PRIMARY KEY CHECK (octet_length(owner) BETWEEN 1 AND 512),
  -- what it could run: version and name
  projections text[] NOT NULL,
  -- renewed as a lease is
  there_until timestamptz NOT NULL
) WITH (fillfactor = 50);
