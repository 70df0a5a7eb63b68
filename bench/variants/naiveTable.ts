/**
 * The table of somebody who needs an event log by tomorrow: used by the naive
 * variants.
 */

export const CREATE_TABLE = `CREATE TABLE events (
  position bigserial PRIMARY KEY,
  stream text COLLATE "C" NOT NULL,
  revision int NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  metadata jsonb NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (stream, revision)
)`

export const INSERT =
  "INSERT INTO events (stream, revision, id, type, data, metadata) VALUES ($1, $2, $3, $4, $5, $6) RETURNING position"

export const SELECT_PAGE = `SELECT position, stream, revision, id, type, data, metadata, recorded_at
  FROM events WHERE position > $1 ORDER BY position LIMIT $2`
