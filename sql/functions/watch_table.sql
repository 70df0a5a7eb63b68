-- Makes the triggers that record the changes of a projection's table, and
-- records the rows that it has already.
--
-- source    name of the table in the feed
-- relation  the table, quoted, with its schema
CREATE OR REPLACE FUNCTION event_store.watch_table(
  of_projection text, of_version smallint, source text, relation text
)
RETURNS void
LANGUAGE plpgsql
SET search_path = event_store, pg_temp
AS $$
DECLARE
  arguments text := concat_ws(', ', quote_literal(of_projection), quote_literal(of_version), quote_literal(source));
  key_columns text[] := (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, place), pg_attribute a
    WHERE i.indrelid = relation::regclass AND i.indisprimary AND k.place <= i.indnkeyatts
      AND a.attrelid = i.indrelid AND a.attnum = k.attnum);
BEGIN
  IF key_columns IS NULL THEN
    RAISE EXCEPTION 'the table % has no primary key, so its changes cannot be kept', source
      USING ERRCODE = 'ES004';
  END IF;
  EXECUTE format('CREATE TRIGGER record_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
    EXECUTE FUNCTION record_row(%s, %s)', relation, arguments,
    (SELECT string_agg(quote_literal(c), ', ') FROM unnest(key_columns) c));
  EXECUTE format('CREATE TRIGGER record_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
    EXECUTE FUNCTION record_row(%s)', relation, arguments);
  EXECUTE format('INSERT INTO projection_changes (projection, version, change, id, position, source, key, is_removal)
    SELECT $1, $2, c.number, sha256(convert_to($3 || '' '' || r.key, ''UTF8'')), c.reached, $3, r.key, false
    FROM begin_change($1, $2, NULL) c, (
      SELECT (SELECT jsonb_object_agg(k, to_jsonb(t) ->> k) FROM unnest($4) k)::text AS key FROM %s t) r', relation)
    USING of_projection, of_version, source, key_columns;
END
$$;
