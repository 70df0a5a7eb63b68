/**
 * Describes everything in a schema, a line each thing, and says nothing of its
 * name. `$1` is that name. The partitions of months, whose number depends on
 * the calendar, have no line unless they lack something.
 */
export const CATALOG = `
WITH own AS (
  SELECT n.oid, quote_ident(n.nspname) || '.' AS name FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
), everything AS (
  SELECT c.*, c.relname ~ '^events_[0-9]{4}_[0-9]{2}$' AS is_month
  FROM pg_catalog.pg_class c WHERE c.relnamespace = (SELECT oid FROM own) AND c.relkind NOT IN ('i', 'I', 't', 'c')
), relation AS (
  SELECT * FROM everything WHERE NOT is_month
), index AS (
  SELECT i.*, pg_get_indexdef(i.indexrelid) AS def,
    (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indexrelid) AS columns
  FROM pg_catalog.pg_index i
), trigger AS (
  SELECT t.*, replace(pg_get_triggerdef(t.oid), ' ' || (SELECT name FROM own), ' ')
    || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ' disabled' WHEN 'R' THEN ' on replicas only' ELSE ' always' END AS def
  FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal
)
SELECT line FROM (
  SELECT 0 AS kind, format('%s %s%s%s%s%s%s', CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' ELSE 'other relation' END,
    r.relname, coalesce(' partition by ' || pg_get_partkeydef(r.oid), ''),
    CASE WHEN r.relispartition THEN ' partition ' || pg_get_expr(r.relpartbound, r.oid) ELSE '' END,
    coalesce(' with ' || array_to_string(r.reloptions, ', '), ''),
    CASE WHEN r.relpersistence <> 'p' THEN ' not logged' ELSE '' END,
    CASE WHEN r.relrowsecurity THEN ' with row security' ELSE '' END) AS line
  FROM relation r WHERE r.relkind <> 'v'
  UNION ALL
  SELECT 1, format('column %s.%s %s%s%s%s', r.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN l.collname <> 'default' THEN ' collate ' || l.collname ELSE '' END,
    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
    coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''))
  FROM relation r
  JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE r.relkind IN ('r', 'p')
  UNION ALL
  SELECT 2, format('constraint %s.%s %s', r.relname, k.conname, pg_get_constraintdef(k.oid))
  FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype NOT IN ('n', 't')
  UNION ALL
  SELECT 3, replace(i.def, ' ' || (SELECT name FROM own), ' ') || CASE WHEN i.indisvalid THEN '' ELSE ' not valid' END
  FROM relation r JOIN index i ON i.indrelid = r.oid
  UNION ALL
  SELECT 4, t.def FROM relation r JOIN trigger t ON t.tgrelid = r.oid
  UNION ALL
  SELECT 4, format('rule %s on %s', w.rulename, r.relname)
  FROM relation r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE r.relkind <> 'v'
  UNION ALL
  SELECT 5, format('view %s (%s) as%s', r.relname,
    (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0),
    -- versions of PostgreSQL differ in white space and in when they name the table of a column
    regexp_replace(regexp_replace(replace(pg_get_viewdef(r.oid), (SELECT name FROM own), ''),
      '(events|streams)[.]', '', 'g'), '[[:space:]]+', ' ', 'g'))
  FROM relation r WHERE r.relkind = 'v'
  UNION ALL
  SELECT 6, format('function %s(%s) returns %s%s%s%s, body %s', p.proname, pg_get_function_identity_arguments(p.oid),
    pg_get_function_result(p.oid),
    CASE p.provolatile WHEN 's' THEN ' stable' WHEN 'i' THEN ' immutable' ELSE '' END,
    CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END,
    coalesce(' set ' || replace(array_to_string(p.proconfig, ', '),
      'search_path=' || quote_ident($1::text) || ',', 'search_path=its schema,'), ''), md5(p.prosrc))
  FROM pg_catalog.pg_proc p WHERE p.pronamespace = (SELECT oid FROM own)
  UNION ALL
  SELECT 7, format('%s lacks the unique index (%s)', m.relname, k.columns)
  FROM everything m, (VALUES ('position'), ('stream, revision'), ('id')) AS k (columns)
  WHERE m.is_month AND NOT EXISTS (
    SELECT FROM index i WHERE i.indrelid = m.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.columns = k.columns)
  UNION ALL
  SELECT 7, format('%s lacks the trigger %s', m.relname, k.name)
  FROM everything m, (VALUES ('refuse_change'), ('refuse_truncate')) AS k (name)
  WHERE m.is_month AND NOT EXISTS (SELECT FROM trigger t WHERE t.tgrelid = m.oid AND t.tgname = k.name AND t.tgenabled = 'O')
  UNION ALL
  SELECT 7, format('%s is no partition of events', m.relname) FROM everything m WHERE m.is_month AND NOT m.relispartition
  UNION ALL
  SELECT 7, format('%s is not logged', m.relname) FROM everything m WHERE m.is_month AND m.relpersistence <> 'p'
) described ORDER BY kind, line COLLATE "C"`
