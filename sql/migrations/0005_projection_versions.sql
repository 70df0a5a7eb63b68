-- Builds of projections. Each version may be built several times, each build
-- beside the others; `version` here and in the tables of projections is the
-- number of a build: version + 1000 * (build - 1).

CREATE TABLE event_store.projection_builds (
  name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
  version smallint NOT NULL CHECK (version BETWEEN 1 AND 31999 AND version % 1000 > 0),
  -- building: nobody reads it yet; current: the one of its version that is run and read;
  -- kept: it was current before; removed: the number may be given again
  status text NOT NULL CHECK (status IN ('building', 'current', 'kept', 'removed')),
  -- whether those see it who read the projection by its name
  is_live boolean NOT NULL DEFAULT false CHECK (status = 'current' OR NOT is_live),
  -- leases of a build that takes the number again are newer than this
  epoch bigint NOT NULL DEFAULT 0,
  -- schema and name of each table that was made for it, one after the other
  tables text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- when another one took its place, and until when it is kept
  retired_at timestamptz,
  keep_until timestamptz,
  PRIMARY KEY (name, version)
);

CREATE UNIQUE INDEX projection_builds_current ON event_store.projection_builds (name, (version % 1000))
  WHERE status = 'current';

CREATE UNIQUE INDEX projection_builds_live ON event_store.projection_builds (name) WHERE is_live;

INSERT INTO event_store.projection_builds (name, version, status, is_live)
  SELECT name, version, 'current', version = min(version) OVER (PARTITION BY name) FROM event_store.projections;
