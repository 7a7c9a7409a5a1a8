import sys, json, re, subprocess, shutil; sys.path.insert(0, '/tmp/mut')
import schema, manual
muts = json.load(open('/tmp/mut/kt.drawn.json'))
man, ids = manual.edits('/tmp/mut/orig', 9001)
keep = set(re.findall(r'const fn (\w+)', subprocess.run('grep -rhn "const fn" /tmp/mut/orig', shell=True, capture_output=True, text=True).stdout))
for p in ['src/lib.rs', 'rows/src/lib.rs']: shutil.copy('/tmp/mut/orig/' + p, '/tmp/mut/kt/' + p)
C = ['cargo','test','--locked','--offline','--no-run','--lib','--test','it','--message-format=json']
drop = schema.compile_loop('/tmp/mut/orig', '/tmp/mut/kt', muts + man, None, C, '/tmp/mut/kt', '/tmp/mut/kt.drop.json', {'keep': keep})
print(len(muts), 'drawn;', None if drop is None else len(drop), 'dropped', flush=True)
