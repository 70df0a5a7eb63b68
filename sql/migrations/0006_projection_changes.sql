-- Change feeds: which states and rows of a projection were changed, for those
-- projections that keep them.

-- One row a feed. Every commit that changes something counts it up before it
-- writes, and so waits for the one before: numbers are seen in their order.
CREATE TABLE event_store.projection_feeds (
  projection text COLLATE "C" NOT NULL,
  -- with the build, as in projections
  version smallint NOT NULL,
  -- another one after a reset: places of before are no places of it
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  -- number of the newest commit
  change bigint NOT NULL DEFAULT 0,
  -- changes of commits up to here are forgotten
  forgotten bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (projection, version)
) WITH (fillfactor = 20);

CREATE TABLE event_store.projection_changes (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  -- number of the commit
  change bigint NOT NULL,
  -- SHA-256 of table and key: one row for what was changed several times in a commit
  id bytea NOT NULL,
  -- where the checkpoint stood after the commit
  position bigint NOT NULL,
  -- name of the table; null for a state
  source text COLLATE "C",
  -- key of the state, or JSON of the row's primary key, its values as text
  key text NOT NULL,
  is_removal boolean NOT NULL,
  PRIMARY KEY (projection, version, change, id)
);
