import sys, json, shutil, re, subprocess; sys.path.insert(0, '/tmp/mut')
import schema, manual, os
for what, lst in (('rows', 'rows.json'), ('kt', 'kt.drawn.json')):
    muts = []
    for k, m in enumerate(json.load(open('/tmp/mut/' + lst))): m = dict(m); m.setdefault('id', k + 1); muts.append(m)
    man, ids = manual.edits('/tmp/mut/orig', 9001)
    if what == 'rows': man = [m for m in man if m['file'].startswith('rows/')]
    shutil.rmtree('/tmp/mut/try'); shutil.copytree('/tmp/mut/orig', '/tmp/mut/try')
    keep = set(re.findall(r'const fn (\w+)', subprocess.run('grep -rhn "const fn" /tmp/mut/orig', shell=True, capture_output=True, text=True).stdout))
    maps, bad = schema.generate('/tmp/mut/orig', '/tmp/mut/try', muts + man, set(), None, {'keep': keep})
    print(what, len(muts), 'no switch:', len(bad))
    by = {m['id']: m for m in muts + man}
    for b in bad[:60]: print('  ', by[b].get('name', by[b]['id']))
    for f in maps:
        t = schema.P.parse(open('/tmp/mut/try/' + f).read().encode())
        if t.root_node.has_error: print('  tree-sitter error', f)
        r = subprocess.run(['rustfmt', '--edition', '2024', '--config', 'max_width=120,error_on_line_overflow=false,skip_children=true', '--check', '--emit', 'stdout', '/tmp/mut/try/' + f], capture_output=True, text=True)
        e = [l for l in r.stderr.splitlines() if l.startswith('error')]
        e = [x for x in e if 'internal' not in x and 'max_width' not in x]
        if e: print(f, r.stderr[:500])
