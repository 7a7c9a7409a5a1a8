import sys, json, re, subprocess; sys.path.insert(0, '/tmp/mut')
import schema, manual
allm = json.load(open('/tmp/mut/rows.json'))
muts = []
for k, m in enumerate(allm): m = dict(m); m['id'] = k + 1; muts.append(m)
man, ids = manual.edits('/tmp/mut/orig', 9001)
man = [m for m in man if m['file'].startswith('rows/')]
keep = set(re.findall(r'const fn (\w+)', subprocess.run('grep -rhn "const fn" /tmp/mut/orig/rows/src', shell=True, capture_output=True, text=True).stdout))
drop = schema.compile_loop('/tmp/mut/orig', '/tmp/mut/rw', muts + man, None,
    ['nice','-n','15','cargo','build','--locked','--offline','-p','keytrail-rows','--lib','--message-format=json'],
    '/tmp/mut/rw', '/tmp/mut/rows.drop.json', {'keep': keep})
print(len(muts), 'drawn;', None if drop is None else len(drop), 'dropped', flush=True)
p = subprocess.run(['nice','-n','15','cargo','test','--locked','--offline','-p','keytrail-rows','--no-run'], cwd='/tmp/mut/rw', capture_output=True, text=True)
print(p.returncode, p.stderr[-3500:], flush=True)
if drop is not None and p.returncode == 0:
    subprocess.Popen(['/tmp/mut/venv/bin/python', '/tmp/mut/rows_run.py'], stdout=open('/tmp/out/m-rows-run.log', 'w'), stderr=subprocess.STDOUT, start_new_session=True, close_fds=True)
exec(open('/tmp/mut/kt_go.py').read())
