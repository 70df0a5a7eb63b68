-- Projections: how far each has come, and what the runner keeps for it. All of
-- it can be made again from the log; nothing here is history.

CREATE TABLE event_store.projections (
  name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
  -- a new version builds beside the old one
  version smallint NOT NULL CHECK (version > 0),
  -- what it reads and makes; another one under the same version is refused
  definition text NOT NULL,
  -- halted: by a failure, until it is started anew
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'halted')),
  -- whether its tables were made
  is_set_up boolean NOT NULL DEFAULT false,
  -- every matching event up to here was seen, in this history
  position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
  incarnation uuid NOT NULL,
  -- how many events were seen, and the digest of which ones
  events bigint NOT NULL DEFAULT 0,
  digest text NOT NULL DEFAULT '0000000000000000' CHECK (digest ~ '^[0-9a-f]{16}$'),
  -- the newest lease: a commit of an older epoch changes nothing
  epoch bigint NOT NULL DEFAULT 0,
  owner text,
  leased_until timestamptz,
  -- failures: how many, and the last one
  failures bigint NOT NULL DEFAULT 0,
  first_failed_at timestamptz,
  last_failed_at timestamptz,
  failed_position bigint,
  failure text,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, version)
) WITH (fillfactor = 20);

-- States that the runner keeps: one, or one a key.
CREATE TABLE event_store.projection_states (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  -- empty for the one state of a projection without keys
  key text COLLATE "C" NOT NULL CHECK (octet_length(key) <= 512),
  state json NOT NULL,
  PRIMARY KEY (projection, version, key)
) WITH (fillfactor = 70);

-- Events that could not be applied, and those that wait behind them.
CREATE TABLE event_store.projection_parked (
  projection text COLLATE "C" NOT NULL,
  version smallint NOT NULL,
  position bigint NOT NULL,
  -- what must stay in order
  key text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  type text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  revision integer NOT NULL,
  -- 0 for an event that waits behind another
  attempts integer NOT NULL,
  reason text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (projection, version, position)
);
