-- Statements that want too much, or something that is not theirs. Each begins with a line `--> OUTCOME: about`:
-- `answer` is answered, `refused` is not run or cannot be computed (exit code 2), `result` would make too large a result,
-- `memory` needs too much of it and `time` takes too long (5); what comes first may depend on the machine, then it is
-- `time or memory`. With ` (shell)` it is always tried in the shell too. `«TEXT×N»` stands for N copies of TEXT, in which `#` is the number of the copy.

--> result: a list of lists of lists
SELECT array_repeat(array_repeat(array_repeat(0, 1000), 1000), 1000)
--> result: the same, flattened
SELECT array_length(flatten(flatten(array_repeat(array_repeat(array_repeat(0, 1000), 1000), 1000))))
--> result: flattened, over a column
SELECT flatten(array_repeat(array_repeat(raw, 10000), 1000)) FROM events
--> result: text repeated three times over
SELECT length(repeat(repeat(repeat('a', 10000), 10000), 10000))
--> result: a column repeated
SELECT repeat(raw, 10000) FROM events
--> result: a column repeated, and measured only
SELECT sum(length(repeat(repeat(raw, 100), 10000))) FROM events
--> result: each letter becomes many
SELECT replace(replace(replace(raw, '"', repeat('"', 1000)), '"', repeat('"', 1000)), '"', repeat('"', 1000)) FROM events
--> result: nothing replaced by something
SELECT length(replace(repeat('a', 10000), '', repeat('b', 10000)))
--> result: a pattern that matches everywhere
SELECT length(regexp_replace(repeat('a', 10000), '', repeat('b', 10000), 'g'))
--> result: what matched, many times
SELECT length(regexp_replace(repeat('a', 10000), '(a*)', repeat('\1', 5000) || repeat('\1', 5000), 'g')) FROM generate_series(1, 100)
--> result: a pattern that matches everywhere, over a column
SELECT regexp_replace(raw, '.', repeat('0123456789', 1000), 'g') FROM events
--> result: padding of padding
SELECT lpad(lpad(raw, 10000, 'x'), 10000, 'y'), repeat(lpad(raw, 10000, '€'), 10000) FROM events
--> result: padding to the right, repeated
SELECT repeat(rpad(event_id, 10000, 'ab'), 10000) FROM events
--> result: joining a hundred copies
SELECT concat(«repeat(raw, 1000),×100» raw) FROM events
--> result: joining with a long separator
SELECT concat_ws(repeat(raw, 10000), «'a',×200» 'b') FROM events
--> result: the operator that joins, doubling
SELECT length(x30) FROM (SELECT x29 || x29 AS x30 FROM (SELECT x28 || x28 AS x29 FROM (SELECT x27 || x27 AS x28 FROM (SELECT repeat(raw, 1000) || repeat(raw, 1000) AS x27 FROM events))))
--> result: the operator, a hundred times
SELECT length(«repeat(raw, 1000) || ×100»raw) FROM events
--> result: doubling in a chain of parts
WITH t0 AS (SELECT repeat('x', 10000) AS x), «t1# AS (SELECT x || x AS x FROM t0), ×1»t2 AS (SELECT repeat(x, 10000) AS x FROM t0), t3 AS (SELECT x || x || x AS x FROM t2) SELECT length(x) FROM t3
--> result: a list that grows by itself
SELECT array_concat(«array_repeat(raw, 10000),×50» array_repeat(raw, 10000)) FROM events
--> result: appending large items
SELECT array_append(array_repeat(raw, 10000), repeat(raw, 10000)) FROM events
--> result: a list of large texts
SELECT make_array(«repeat(raw, 5000),×100» raw) FROM events
--> result: items replaced by larger ones
SELECT array_replace_all(array_repeat(1, 10000), 1, 2), array_replace_all(array_repeat('a', 10000), 'a', repeat('b', 10000)) FROM events
--> result: a list as text, with a long separator
SELECT array_to_string(array_repeat('a', 10000), repeat('b', 10000)) FROM events
--> result: a series for each row
SELECT range(0, 10000000), event_id FROM events
--> result: two series in a row
SELECT array_concat(range(0, 9999999), range(0, 9999999)) FROM events
--> result: times in small steps
SELECT range(TIMESTAMP '2000-01-01', TIMESTAMP '2100-01-01', INTERVAL '1' SECOND)
--> time or memory: unnested and multiplied
SELECT count(*) FROM (SELECT unnest(range(0, 1000000)) AS a FROM (SELECT unnest(range(0, 1000000)) AS b))
--> result: a resized list
SELECT array_resize(make_array(repeat(raw, 100)), 10000, repeat(raw, 1000)) FROM events
--> result: hexadecimal of a long text
SELECT encode(repeat(repeat('a', 10000), 5000), 'hex')
--> result: letters that become longer
SELECT upper(repeat(repeat('ß', 10000), 2000)), translate(repeat(repeat('a', 10000), 2000), 'a', '€')
--> result: pieces of one letter
SELECT string_to_array(repeat(repeat('a', 10000), 1000), NULL)
--> result: a date written long
SELECT to_char(TIMESTAMP '2026-01-01', repeat(repeat('%c', 10000), 1000))
--> result: a list of the whole input, many times
SELECT array_agg(repeat(raw, 1000)) FROM events a CROSS JOIN generate_series(1, 1000)
--> result: one text of the whole input, many times
SELECT length(string_agg(repeat(raw, 100), '')) FROM events a CROSS JOIN generate_series(1, 10000)
--> time or memory: all distinct texts
SELECT count(DISTINCT raw || a.value) FROM events, generate_series(1, 10000000) a
--> time or memory: all distinct texts as a list
SELECT array_length(array_agg(DISTINCT raw || a.value)) FROM events, generate_series(1, 10000000) a
--> time or memory: the middle of all texts
SELECT first_value(raw || a.value ORDER BY a.value DESC), array_agg(raw ORDER BY a.value) FROM events, generate_series(1, 1000000) a
--> time or memory: groups of everything
SELECT count(*) FROM (SELECT raw, a.value, count(*) FROM events, generate_series(1, 10000000) a GROUP BY 1, 2)
--> time: a cross join of series
SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b
--> time: a join that never matches
SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value > b.value + 20000000
--> time: a join on less than
SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value < b.value
--> time or memory: a sort of a cross join
SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000) b ORDER BY b.value * random()
--> time or memory: a window over a cross join
SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY a.value * b.value) AS n FROM generate_series(1, 100000) a, generate_series(1, 10000) b)
--> time or memory: a frame of everything
SELECT max(n) FROM (SELECT count(DISTINCT value) OVER (ORDER BY value) AS n FROM generate_series(1, 1000000))
--> time or memory: a list in every frame
SELECT max(array_length(n)) FROM (SELECT array_agg(value) OVER (ORDER BY value) AS n FROM generate_series(1, 1000000))
--> time or memory: recursion without an end
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r
--> result: recursion that grows a text
WITH RECURSIVE r AS (SELECT 'a' AS n UNION ALL SELECT n || n FROM r) SELECT max(length(n)) FROM r
--> time or memory: recursion that doubles
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT a.n FROM r a CROSS JOIN generate_series(1, 2)) SELECT count(*) FROM r
--> time or memory: recursion over distinct rows
WITH RECURSIVE r AS (SELECT 1 AS n UNION SELECT n + 1 FROM r) SELECT count(*) FROM r
--> time: distances of long texts
SELECT levenshtein(repeat(repeat('a', 10000), 100), repeat(repeat('b', 10000), 100))
--> time: distances of many texts
SELECT sum(levenshtein(repeat('a', 10000), repeat(a.value::text, 1000))) FROM generate_series(1, 100000) a
--> time: a large pattern, over and over
SELECT count(*) FROM generate_series(1, 10000000) a WHERE regexp_like(repeat(a.value::text, 100), '^(1|2|3|4|5|6|7|8|9|0){700}x$')
--> result: the hash of long texts
SELECT count(sha256(repeat(a.value::text, 10000))) FROM generate_series(1, 10000000) a
--> time: many columns of a cross join
SELECT count(*) FROM events a, events b, events c, events d, generate_series(1, 10000000) e, generate_series(1, 10000000) f
--> refused: a subquery for each row
SELECT count(*) FROM generate_series(1, 100000) a WHERE a.value < (SELECT count(*) FROM generate_series(1, 1000000) b WHERE b.value % (a.value + 1) = 0)
--> time: views joined without a condition
SELECT count(*) FROM generate_series(1, 10000000) s, key_use a, key_use b, generate_series(1, 1000000) t WHERE s.value + t.value < 0
--> time: an answer without an end
SELECT a.value, b.value FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b WHERE a.value * b.value = -1
--> refused: CUBE of eighteen columns
SELECT count(*) FROM events GROUP BY CUBE (event_id, event_name, event_source, aws_region, source_ip_address, user_agent, error_code, principal, key_arn, outcome, read_only, event_type, event_category, recipient_account_id, event_time, raw, record_index, user_type)
--> refused: CUBE of thirteen columns
SELECT count(*) FROM (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f, 7 AS g, 8 AS h, 9 AS i, 10 AS j, 11 AS k, 12 AS l, 13 AS m) GROUP BY CUBE (a, b, c, d, e, f, g, h, i, j, k, l, m)
--> refused: CUBE beside CUBE
SELECT count(*) FROM (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f, 7 AS g, 8 AS h, 9 AS i, 10 AS j, 11 AS k, 12 AS l, 13 AS m) GROUP BY CUBE (a, b, c, d, e, f), CUBE (g, h, i, j, k, l, m)
--> refused: parts that double
WITH c0 AS (SELECT event_id FROM events), «c1# AS (SELECT 1 AS x), ×2»c1 AS (SELECT a.* FROM c0 a, c0 b), c2 AS (SELECT a.* FROM c1 a, c1 b), c3 AS (SELECT a.* FROM c2 a, c2 b), c4 AS (SELECT a.* FROM c3 a, c3 b), c5 AS (SELECT a.* FROM c4 a, c4 b), c6 AS (SELECT a.* FROM c5 a, c5 b), c7 AS (SELECT a.* FROM c6 a, c6 b), c8 AS (SELECT a.* FROM c7 a, c7 b), c9 AS (SELECT a.* FROM c8 a, c8 b), c20 AS (SELECT a.* FROM c9 a, c9 b) SELECT count(*) FROM c20
--> refused: parts that grow by ten
WITH c0 AS (SELECT 1 AS n), c1 AS («SELECT n FROM c0 UNION ALL ×9»SELECT n FROM c0), c2 AS («SELECT n FROM c1 UNION ALL ×9»SELECT n FROM c1), c3 AS («SELECT n FROM c2 UNION ALL ×9»SELECT n FROM c2), c4 AS («SELECT n FROM c3 UNION ALL ×9»SELECT n FROM c3) SELECT count(*) FROM c4
--> refused: a thousand tables and more
SELECT count(*) FROM «events e#, ×1001»events f
--> refused: a long chain
SELECT 1«+1×1001»
--> refused: a long chain of texts
SELECT 'a'«||'b'×1001»
--> refused: a deep nest
SELECT «(×11»1«)×11»
--> refused: a very deep nest
SELECT «(×50000»1«)×50000»
--> refused: nested functions
SELECT «upper(×11»'a'«)×11»
--> refused: CASE in CASE
SELECT «CASE WHEN true THEN ×11»1«END ×11»
--> refused: a statement of two megabytes
SELECT '«0123456789×209716»'
--> refused: repeated beyond the size
SELECT repeat('a', 10001)
--> refused: repeated by a column
SELECT repeat('a', record_index) FROM events
--> refused: repeated by a sum
SELECT repeat('a', 5000 + 5001)
--> refused: under another name
SELECT list_repeat(0, 100000)
--> refused: in capitals and quotes
SELECT "repeat"('a', 100000), REPEAT('a', 100000)
--> refused: a series of a trillion
SELECT * FROM range(0, 1000000000000)
--> refused: a series by seconds
SELECT * FROM generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2100-01-01', INTERVAL '1' SECOND)
--> refused: a series that never moves
SELECT * FROM generate_series(1, 10, 0)
--> refused: the name of a file
SELECT input_file_name() FROM events
--> refused: the place in a file
SELECT file_row_index() FROM events
--> refused: a function of another database
SELECT pg_sleep(1000)
--> refused: reading a file
SELECT * FROM read_parquet('/etc/passwd')
--> refused: a table of a file
SELECT * FROM "/etc/hostname"
--> refused: writing by way of WITH
WITH a AS (DELETE FROM events) SELECT 1
--> refused: copying out
COPY (SELECT raw FROM events) TO 'out.parquet'
--> refused: settings
SET datafusion.execution.batch_size = 100000000
--> refused: explaining a write
EXPLAIN INSERT INTO events SELECT * FROM events
--> refused: two statements
SELECT 1; SELECT 2
--> refused: code for each item
SELECT array_transform(range(0, 10), x -> repeat('a', 10000))
--> answer: as large as the bound lets it be
SELECT length(repeat(repeat('a', 10000), 1000)) AS bytes
--> answer: a long list
SELECT array_length(array_repeat(0, 10000)) AS items
--> answer: CUBE of twelve columns
SELECT count(*) FROM (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f, 7 AS g, 8 AS h, 9 AS i, 10 AS j, 11 AS k, 12 AS l) GROUP BY CUBE (a, b, c, d, e, f, g, h, i, j)
--> answer: a chain of three hundred
SELECT 1«+1×300» AS n
--> answer: ten thousand names
SELECT count(*) FROM events WHERE event_id IN («'id-#', ×10000»'id')
--> answer: a text in ten thousand rows
SELECT max(length('«0123456789×100»' || value)) FROM generate_series(1, 10000)
--> answer: joined texts and lists
SELECT 'a' || 'b' AS c, NULL || 'b' AS n, [1] || [2] AS l, concat('a', NULL, 1) AS t, upper('straße') AS u
--> answer: sorted by chance
SELECT count(*) FROM (SELECT value FROM generate_series(1, 100000) ORDER BY random())
--> answer: ten million rows
SELECT count(*), sum(value) FROM generate_series(1, 10000000)
--> answer: replaced within bounds
SELECT sum(length(replace(raw, '"', '&quot;'))) > 0 AS ok, sum(length(regexp_replace(raw, '[0-9]', '#', 'g'))) > 0 AS ko FROM events
--> answer: a recursion that ends
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT count(*) FROM r
--> refused: beyond the largest number
SELECT 9223372036854775807 + 1
--> refused: beyond the smallest number
SELECT -9223372036854775807 - 2
--> refused: a product beyond the largest number
SELECT sum(value * 9223372036854775807) FROM generate_series(1, 10)
--> refused: beyond the largest number, in a condition
SELECT count(*) FROM generate_series(1, 10) WHERE value + 9223372036854775807 > 0
--> answer: the largest and the smallest number
SELECT 9223372036854775806 + 1 AS largest, -9223372036854775807 - 1 AS smallest, 4611686018427387903 * 2 AS product
--> answer: three hundred columns joined
SELECT length(«event_id || ×300»'') FROM events
--> answer: three hundred columns added
SELECT sum(«record_index + ×300»1) > 0 AS ok FROM events
--> answer: a window over what is computed
SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY value * 2 + 1, 'a' || value) AS n FROM generate_series(1, 100))
--> answer: sums of what is computed
SELECT sum(value * 2 + 1) AS s, string_agg('a' || value, ',' ORDER BY value * -1) AS t FROM generate_series(1, 3)
--> answer: three hundred conditions
SELECT count(*) FROM events WHERE «event_id = 'id-#' OR ×300»false
--> answer: chains of every kind
SELECT 1 + 2 * 3 - 4 AS a, 'x' || (1 + 2) || 'y' AS b, 1.5 + 2 + 3 AS c, now() - now() + INTERVAL '1' DAY AS d, 7 - (2 - 1) AS e
--> result (shell): a large constant in many rows
SELECT repeat(repeat('a', 10000), 1000) AS x, value FROM generate_series(1, 8192)
--> result (shell): a large constant in few rows
SELECT repeat(repeat('a', 10000), 1000) AS x, value FROM generate_series(1, 200)
--> result: a large constant in a branch
SELECT max(length(CASE WHEN value % 2 = 0 THEN repeat(repeat('a', 10000), 1000) ELSE value::text END)) FROM generate_series(1, 8192)
--> result: a large constant that is counted
SELECT count(DISTINCT repeat(repeat('a', 10000), 1000)) FROM generate_series(1, 8192)
--> time (shell): a large constant, looked through for each row
SELECT sum(strpos(repeat(repeat('a', 10000), 1000), 'b' || value)) FROM generate_series(1, 100000)
--> memory (shell): a large value joined with many rows
SELECT x, value FROM (SELECT repeat(repeat('a', 10000), 1000) AS x) a CROSS JOIN generate_series(1, 8192)
--> result (shell): a hundred groups in each other
SELECT regexp_match(repeat(repeat('a', 10000), 700), repeat('(', 100) || 'a*' || repeat(')', 100))
--> result (shell): a wide type
SELECT arrow_cast(arrow_cast('a', 'Binary'), 'FixedSizeBinary(2000000000)')
--> result: a wide type in each row
SELECT arrow_try_cast(CAST(event_id AS BYTEA), 'FixedSizeBinary(1000000)') FROM events
--> refused: the sign of the smallest number
SELECT -v FROM (VALUES (-9223372036854775807 - 1), (0)) t(v)
--> answer: signs of numbers
SELECT -v AS v, - -v AS w, -1.5 AS r FROM (VALUES (9223372036854775807), (-5), (NULL)) t(v) ORDER BY -v
--> answer: groupings beside each other
SELECT count(*) FROM («SELECT count(*) AS n FROM events GROUP BY ROLLUP (event_name) UNION ALL ×12»SELECT count(*) FROM events GROUP BY ROLLUP (event_name))
--> answer: a large constant compared
SELECT count(*) FROM events WHERE raw <> repeat(repeat('a', 10000), 1000) AND raw NOT LIKE repeat(repeat('a', 10000), 100)
--> answer: a hash of a long text
SELECT length(md5(repeat(repeat('a', 10000), 1000))) AS digits
--> answer: rows of which no two make one piece
SELECT count(x) FROM (SELECT replace(concat(repeat('a', 9999), value), '', repeat('b', 600)) AS x FROM generate_series(1, 3))
