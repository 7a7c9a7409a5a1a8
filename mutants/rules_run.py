#!/usr/bin/env python3
"""Expands tests/rules/*.json into logs, runs every rule over them, compares by case.

run.py [RULE...]            the cases of these rules (of all): matches must find, near-misses must not
run.py --rows RULE...       also prints the rows that each rule gave in its own cases
run.py --cross RULE...      also prints rows in OTHER rules' cases
run.py --on DIR [RULE...]   runs the rules over the logs in DIR, prints merged rows and the seconds of each
run.py --lint [RULE...]     cards and files only (needs no binary)
Environment: KEYTRAIL (the binary), WORK (the worktree).
"""
import argparse, gzip, hashlib, json, os, re, shutil, subprocess, sys, time, uuid
WORK = os.environ.get('WORK', '/work/wt/rules')
TOOL = os.environ.get('KEYTRAIL', '/work/main/target/debug/keytrail')
RULES, CASES, SCRATCH = WORK + '/queries/findings', WORK + '/tests/rules', '/tmp/rules/work'
SINCE = '2026-06-01T00:00:00Z'
COLUMNS = 'event_time account_id region principal sessions source_ips key_arn table_name outcome event_ids detail'.split()
OPTIONAL = ['subject', 'severity', 'event_count', 'last_time']
KEYS = 'title why severity controls attack false-positives next params param set needs'.split()
MUST = 'title why severity controls attack false-positives next set needs'.split()
NEEDS = 'kms_reads kms_writes dynamodb iam organizations cloudtrail sts digests baseline events_all'.split()
SEVERITIES = 'critical high medium low info'.split()

def uid(*parts): return str(uuid.UUID(hashlib.md5('/'.join(map(str, parts)).encode()).hexdigest(), version=4))

def patch(base, change):
    if not isinstance(change, dict): return change
    base = dict(base) if isinstance(base, dict) else {}
    for k, v in change.items():
        if v is None: base.pop(k, None)
        else: base[k] = patch(base.get(k), v)
    return base

def fill(value, names):
    if isinstance(value, str):
        for k, v in names.items(): value = value.replace('{' + k + '}', v)
        return value
    if isinstance(value, list): return [fill(v, names) for v in value]
    if isinstance(value, dict): return {fill(k, names): fill(v, names) for k, v in value.items()}
    return value

def card(text):
    c = {}
    for line in text.splitlines():
        m = re.match(r'-- ([a-z-]+): ?(.*)$', line)
        if not m: break
        c.setdefault(m[1], []).append(m[2])
    return c

def rules(names):
    found = sorted(f[:-4] for f in os.listdir(RULES) if f.endswith('.sql'))
    for n in names:
        if n not in found: sys.exit(f'no rule {n}')
    return names or found

def bases(): return {f[:-5]: json.load(open(f'{CASES}/base/{f}')) for f in sorted(os.listdir(CASES + '/base')) if f.endswith('.json')}

def expand():
    """Every case of every rule: its names, and its records by file of a log."""
    base, cases, files = bases(), [], {}
    number = 0
    for name in sorted(f[:-5] for f in os.listdir(CASES) if f.endswith('.json')):
        try: book = json.load(open(f'{CASES}/{name}.json'))
        except Exception as e: print(f'BAD {name}.json: {e}'); continue
        for side in ('matches', 'near_misses'):
            for i, case in enumerate(book.get(side, [])):
                number += 1
                where = f'{name}/{side}/{i + 1}'
                h = int(hashlib.md5(where.encode()).hexdigest(), 16)
                names = {'account': f'{300000000000 + h % 10**11:012d}', 'other': f'{500000000000 + h % 10**11:012d}',
                         'key': uid(where, 'key'), 'key2': uid(where, 'key2'), 'key3': uid(where, 'key3'),
                         'table': 'orders-' + hashlib.md5(where.encode()).hexdigest()[:6]}
                for p, record in enumerate(case['records']):
                    record = dict(record)
                    b = record.pop('of', None)
                    if b is not None and b not in base: sys.exit(f'{where}: no base {b}')
                    r = patch(base[b] if b else {}, record)
                    r.setdefault('eventID', uid(where, p, 'event'))
                    if r.get('eventType') != 'AwsServiceEvent': r.setdefault('requestID', uid(where, p, 'request'))
                    r = fill(r, names)
                    t = r['eventTime']
                    key = (r.get('recipientAccountId'), r.get('awsRegion'), t[:10])
                    files.setdefault(key, []).append(r)
                cases.append({'rule': name, 'side': side, 'where': where, 'names': names, 'case': case})
    return cases, files

def write(files, out):
    shutil.rmtree(out, ignore_errors=True)
    for (account, region, day), records in sorted(files.items()):
        y, m, d = day.split('-')
        folder = f'{out}/AWSLogs/{account}/CloudTrail/{region}/{y}/{m}/{d}'
        os.makedirs(folder, exist_ok=True)
        name = hashlib.md5(f'{account}{region}{day}'.encode()).hexdigest()[:16]
        with gzip.GzipFile(f'{folder}/{account}_CloudTrail_{region}_{y}{m}{d}T2355Z_{name}.json.gz', 'wb', mtime=0) as f:
            f.write(json.dumps({'Records': records}).encode())

def query(sql, source, since=SINCE, extra=()):
    path = f'{SCRATCH}/q.{os.getpid()}.sql'
    open(path, 'w').write(sql)
    args = ['nice', TOOL, 'query', '--file', path, '--from', source, '-f', 'json', *extra]
    if since: args += ['--since', since]
    cpu = lambda: sum(__import__('resource').getrusage(__import__('resource').RUSAGE_CHILDREN)[:2])
    began = cpu()
    done = subprocess.run(args, capture_output=True, text=True)
    took = cpu() - began  # seconds of processor time: the machine is shared
    if done.returncode not in (0, 3) or not done.stdout.strip():
        return None, took, done.stderr[-3000:] or f'exit {done.returncode}'
    return json.loads(done.stdout), took, None

def quoted(v): return 'NULL' if v is None else "'" + str(v).replace("'", "''") + "'"

def baseline(source, since):
    """The view `baseline` as a WITH part: what the history before the interval says."""
    rows = []
    if since:
        rows, _, err = query(f"""SELECT principal, key_arn, min(recipient_account_id) AS account_id, vpc_endpoint_id,
            min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS calls
            FROM key_use WHERE event_time < TIMESTAMP '{since}' GROUP BY principal, key_arn, vpc_endpoint_id""", source, None)
        if err: print('baseline:', err); rows = []
        days, _, err = query(f"""SELECT recipient_account_id AS a, count(DISTINCT event_date) AS d FROM events
            WHERE event_time < TIMESTAMP '{since}' AND event_source = 'kms.amazonaws.com' GROUP BY 1""", source, None)
        days = {r['a']: r['d'] for r in days or []}
    cast = lambda n, t: f"arrow_cast({n}, '{t}') AS {n}"
    ts = 'Timestamp(Microsecond, Some("UTC"))'
    names = 'principal, key_arn, account_id, vpc_endpoint_id, first_seen, last_seen, calls, days_covered'
    values = ', '.join(f"({quoted(r['principal'])}, {quoted(r['key_arn'])}, {quoted(r['account_id'])}, {quoted(r['vpc_endpoint_id'])}, "
                       f"{quoted(r['first_seen'])}, {quoted(r['last_seen'])}, {r['calls']}, {days.get(r['account_id'], 0)})" for r in rows)
    tail = f'(VALUES {values}) t({names})' if rows else f"(VALUES ('', '', '', '', '{SINCE}', '{SINCE}', 0, 0)) t({names}) WHERE false"
    return ('baseline AS (SELECT ' + ', '.join([cast('principal', 'Utf8'), cast('key_arn', 'Utf8'), cast('account_id', 'Utf8'),
            cast('vpc_endpoint_id', 'Utf8'), cast('first_seen', ts), cast('last_seen', ts), cast('calls', 'Int64'),
            cast('days_covered', 'Int64')]) + f' FROM {tail})')

def expected():
    import tomllib, fnmatch
    book = tomllib.load(open(CASES + '/expect-use.toml', 'rb')) if os.path.exists(CASES + '/expect-use.toml') else {'key': []}
    rx = lambda g: '^' + re.escape(g).replace('\\*', '.*').replace('\\?', '.') + '$'
    alts = lambda gs: None if not gs else '|'.join(rx(g) for g in gs)
    rows = [(rx(k['key']), alts(k.get('principals')), alts(k.get('services')), alts(k.get('tables')), alts(k.get('regions'))) for k in book['key']]
    names = 'key_pattern, principal_pattern, service_pattern, table_pattern, region_pattern'
    values = ', '.join('(' + ', '.join('CAST(' + quoted(v) + ' AS VARCHAR)' for v in r) + ')' for r in rows)
    return f'expected_use AS (SELECT * FROM (VALUES {values}) e({names}))'

def body(rule): 
    text = open(f'{RULES}/{rule}.sql').read()
    return text, card(text)

def new_views():
    """Views of the worktree that the binary does not know yet; they stand before a rule as parts of its WITH."""
    found, main = {}, os.environ.get('BINARY_SOURCE', '/work/main')
    for top, _, files in os.walk(WORK + '/queries/views'):
        for f in files:
            if not os.path.exists(top.replace(WORK, main) + '/' + f):
                text = open(f'{top}/{f}').read()
                found[f[:-4]] = '\n'.join(l for l in text.splitlines() if not l.startswith('--'))
    return found

def with_views(sql, views):
    parts, done = [], set()
    def add(text):
        for name in sorted(views):
            if name not in done and re.search(r'\b' + name + r'\b', text):
                done.add(name); add(views[name]); parts.append(f'{name} AS ({views[name]})')
    add(sql)
    if not parts: return sql
    head = ',\n'.join(parts)
    return re.sub(r'^\s*WITH\b', lambda _: f'WITH {head},', sql, count=1) if re.match(r'\s*WITH\b', sql) else f'WITH {head}\n{sql}'

def run_rule(rule, source, since, base):
    sql, c = body(rule)
    bare = '\n'.join(l for l in sql.splitlines() if not l.startswith('--'))
    extra = []
    bare = with_views(bare, new_views())
    if re.search(r'\bbaseline\b', bare):
        base['sql'] = base.get('sql') or baseline(source, since)
        bare = re.sub(r'^\s*WITH\b', f'WITH {base["sql"]},', bare, count=1) if re.match(r'\s*WITH\b', bare) else f'WITH {base["sql"]}\n{bare}'
    if re.search(r'\bexpected_use\b', bare):
        exp = expected()
        bare = re.sub(r'^\s*WITH\b', f'WITH {exp},', bare, count=1) if re.match(r'\s*WITH\b', bare) else f'WITH {exp}\n{bare}'
    if '$since' in bare: 
        if since: extra = ['-p', f'since={since}']
        else: bare = bare.replace('$since', 'NULL')
    if os.path.isdir(source) and 'events_all' in c.get('needs', []) and not os.path.isdir(source + '/_delta_log') and not os.path.isdir(source + '/events'):
        extra += ['--events', 'all']
    rows, took, err = query(bare, source, since, extra)
    return rows, took, err, c

def merge(rows, c):
    groups = {}
    for r in rows:
        k = (r.get('principal'), r.get('key_arn'), r.get('table_name'), r.get('subject'))
        groups.setdefault(k, []).append(r)
    out = []
    for k, g in groups.items():
        g.sort(key=lambda r: (r['event_time'] or '', (r['event_ids'] or [''])[0], r['detail'] or ''))
        m = dict(g[0])
        worst = min(SEVERITIES.index(r.get('severity') or c['severity'][0]) for r in g)
        m['severity'] = SEVERITIES[worst]
        ids = []
        for r in g:
            for e in r['event_ids'] or []:
                if e not in ids: ids.append(e)
        m['event_ids'], m['event_count'] = ids[:20], max(len(ids), sum(r.get('event_count') or 0 for r in g))
        for n in ('sessions', 'source_ips'):
            m[n] = sorted({x for r in g for x in (r[n] or [])})
        m['rows'] = len(g)
        out.append(m)
    return sorted(out, key=lambda r: (r['event_time'] or '', str(r['principal'])))

def short(r): return '  '.join(f'{k}={r[k]!r}' for k in ('severity', 'event_time', 'account_id', 'region', 'principal', 'sessions', 'source_ips', 'key_arn', 'table_name', 'subject', 'outcome', 'detail', 'event_count') if r.get(k) not in (None, []))

def lint(names):
    bad = 0
    def say(rule, what):
        nonlocal bad; bad += 1; print(f'LINT {rule}: {what}')
    for rule in names:
        text, c = body(rule)
        for k in MUST:
            if k not in c: say(rule, f'no {k}')
        for k in c:
            if k not in KEYS: say(rule, f'key {k}')
        if c.get('severity', [''])[0] not in SEVERITIES: say(rule, 'severity')
        if c.get('set', [''])[0] not in ('default', 'baseline'): say(rule, 'set')
        if c.get('title', [''])[0].endswith('.'): say(rule, 'title ends with a period')
        for n in c.get('needs', []):
            if n not in NEEDS: say(rule, f'needs {n}')
        path = f'{CASES}/{rule}.json'
        if not os.path.exists(path): say(rule, 'no cases'); continue
        book = json.load(open(path))
        for side in ('matches', 'near_misses'):
            if len(book.get(side, [])) < 3: say(rule, f'{len(book.get(side, []))} {side}')
            for case in book.get(side, []):
                if not case.get('says'): say(rule, 'a case without says')
                if set(case) - {'says', 'records', 'finds'}: say(rule, f'case has {set(case)}')
    return bad

def check_rows(rule, rows):
    for r in rows:
        got = list(r)
        if got[:11] != COLUMNS: return f'columns {got}'
        if set(got[11:]) - set(OPTIONAL): return f'columns {got[11:]}'
        if not r['event_ids']: return f'no event_ids: {r}'
        if len(r['event_ids']) > 20: return 'more than 20 event_ids'
        if not r['event_time'] or not r['detail'] or not (r['principal'] or r.get('subject')): return f'empty: {r}'
        if r.get('severity') and r['severity'] not in SEVERITIES: return f'severity {r["severity"]}'
        for n in ('sessions', 'source_ips', 'event_ids'):
            if r[n] is not None and not isinstance(r[n], list): return f'{n} is no list'
            if r[n] and None in r[n]: return f'{n} has a null: {r[n]}'

def test(args):
    cases, files = expand()
    logs, store = SCRATCH + '/logs', SCRATCH + '/store'
    logs_all = store + '-all'
    stamp = hashlib.md5(json.dumps(sorted((str(k), v) for k, v in files.items())).encode()).hexdigest()
    if not os.path.exists(f'{SCRATCH}/stamp') or open(f'{SCRATCH}/stamp').read() != stamp:
        write(files, logs)
        for s, events in ((store, 'key-use'), (logs_all, 'all')):
            shutil.rmtree(s, ignore_errors=True)
            done = subprocess.run(['nice', TOOL, 'ingest', logs, '--store', s, '--events', events], capture_output=True, text=True)
            if done.returncode: sys.exit(f'ingest: {done.returncode} {done.stderr}')
        open(f'{SCRATCH}/stamp', 'w').write(stamp)
    own = {}
    for c in cases: own.setdefault(c['rule'], []).append(c)
    account = {}
    for c in cases:
        account[c['names']['account']] = c; account[c['names']['other']] = c
    base, failed, total = {}, 0, 0
    for rule in args.rules:
        source = logs_all if 'events_all' in body(rule)[1].get('needs', []) else store
        rows, took, err, c = run_rule(rule, source, SINCE, base)
        if err: print(f'FAIL {rule}: {err}'); failed += 1; continue
        problem = check_rows(rule, rows)
        if problem: print(f'FAIL {rule}: {problem}'); failed += 1
        by = {}
        for r in rows: by.setdefault(account.get(r['account_id'], {}).get('where'), []).append(r)
        if None in by: print(f'FAIL {rule}: {len(by[None])} rows of no case: {short(by[None][0])}'); failed += 1
        bad = 0
        for case in own.get(rule, []):
            total += 1
            got = merge(by.get(case['where'], []), c)
            want = [fill(f, case['names']) for f in case['case'].get('finds', [{}] if case['side'] == 'matches' else [])]
            left, misses = list(got), []
            for f in want:
                hit = next((g for g in left if all(g.get(k) == v for k, v in f.items())), None)
                if hit is None: misses.append(f)
                else: left.remove(hit)
            if misses or left:
                bad += 1
                print(f'FAIL {case["where"]}: {case["case"]["says"]}')
                for f in misses: print(f'     wanted {f}')
                for g in left: print(f'     got    {short(g)}')
            elif args.show:
                for g in got: print(f'     {case["where"]}: {short(g)}')
        if args.cross:
            for where, rs in by.items():
                if where and not where.startswith(rule + '/'):
                    for g in merge(rs, c): print(f'   cross {rule} in {where}: {short(g)}')
        failed += bad
        print(f'{"ok  " if not bad and not problem else "FAIL"} {rule}: {len(own.get(rule, []))} cases, {len(rows)} rows, {took:.2f} s')
    print(f'{total} cases, {failed} failed')
    return failed

def on(args):
    base = {}
    store = args.on
    for rule in args.rules:
        rows, took, err, c = run_rule(rule, store, args.since, base)
        if err: print(f'FAIL {rule}: {err}'); continue
        got = merge(rows, c)
        print(f'{rule}: {len(rows)} rows, {len(got)} findings, {took:.2f} s')
        for g in got[:args.limit]: print('    ' + short(g))
    return 0

p = argparse.ArgumentParser()
p.add_argument('rules', nargs='*')
p.add_argument('--rows', dest='show', action='store_true')
p.add_argument('--cross', action='store_true')
p.add_argument('--on')
p.add_argument('--since')
p.add_argument('--limit', type=int, default=20)
p.add_argument('--lint', action='store_true')
args = p.parse_args()
args.rules = rules(args.rules)
SCRATCH = os.environ.get('SCRATCH', SCRATCH)
os.makedirs(SCRATCH, exist_ok=True)
bad = lint(args.rules)
if args.lint: sys.exit(1 if bad else 0)
sys.exit(1 if (on(args) if args.on else test(args)) + bad else 0)
