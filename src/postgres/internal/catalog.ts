/**
 * Describes everything in a schema, a line each, without the partitions of
 * months, whose number depends on the calendar. `$1` is the schema's name.
 */
export const CATALOG = `
WITH relation AS (
  SELECT c.oid, c.relname, c.relkind, c.reloptions FROM pg_catalog.pg_class c
  WHERE c.relnamespace = $1::text::regnamespace AND c.relname !~ '^events_[0-9]{4}_[0-9]{2}' AND c.relkind IN ('r', 'p', 'v')
)
SELECT line FROM (
  SELECT 1 AS kind, format('column %s.%s %s%s%s%s', r.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN l.collname <> 'default' THEN ' collate ' || l.collname ELSE '' END,
    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
    coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
  FROM relation r
  JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE r.relkind <> 'v'
  UNION ALL
  SELECT 0, format('table %s%s%s', r.relname, coalesce(' partition by ' || pg_get_partkeydef(r.oid), ''),
    coalesce(' with ' || array_to_string(r.reloptions, ', '), ''))
  FROM relation r WHERE r.relkind <> 'v'
  UNION ALL
  SELECT 2, format('constraint %s.%s %s', r.relname, k.conname, pg_get_constraintdef(k.oid))
  FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype <> 'n'
  UNION ALL
  SELECT 3, pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
  UNION ALL
  SELECT 4, pg_get_triggerdef(t.oid) FROM relation r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid
  WHERE NOT t.tgisinternal AND t.tgparentid = 0
  UNION ALL
  SELECT 5, format('view %s (%s)', r.relname,
    (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0))
  FROM relation r WHERE r.relkind = 'v'
  UNION ALL
  SELECT 6, format('function %s(%s) returns %s%s, body %s', p.proname, pg_get_function_identity_arguments(p.oid),
    pg_get_function_result(p.oid),
    coalesce(' set ' || array_to_string(p.proconfig, ', '), ''), md5(regexp_replace(p.prosrc, '\\y' || $1::text || '\\y', 'event_store', 'g')))
  FROM pg_catalog.pg_proc p WHERE p.pronamespace = $1::text::regnamespace
) described ORDER BY kind, line COLLATE "C"`
