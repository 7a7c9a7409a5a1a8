import sys, json, os, glob, subprocess, time; sys.path.insert(0, '/tmp/mut')
from run import run
import manual
D = '/tmp/mut/rw/target/debug/deps/'
def newest(n): return max((p for p in glob.glob(D + n + '-*') if not p.endswith('.d') and os.access(p, os.X_OK)), key=os.path.getmtime)
BINS = [newest('keytrail_rows'), newest('records')]
CWD = '/tmp/mut/rw/rows'
NEW = json.load(open('/tmp/mut/new_tests.json'))
PHASE = sys.argv[1] if len(sys.argv) > 1 else 'old'
STATE = f'/tmp/mut/rows.result.{PHASE}.json'
env0 = {'RUSTC_BOOTSTRAP': '1'}
tests = []
for b in BINS:
    out = subprocess.run([b, '--list', '--format', 'terse'], cwd=CWD, capture_output=True, text=True).stdout
    tests += [(b, l[:-6]) for l in out.splitlines() if l.endswith(': test')]
tests = [bt for bt in tests if any(n in bt[1] for n in NEW) == (PHASE == 'new')]
print(len(tests), 'tests')
reach, took = {}, {}
for b, t in tests:
    tr = '/tmp/mut/trace.txt'
    if os.path.exists(tr): os.remove(tr)
    r = run([b, '--exact', t], CWD, dict(env0, KEYTRAIL_MUTANT_TRACE=tr), 300)
    if r['rc'] != 0: print('BASELINE FAILS', t, r['out'][-800:]); continue
    r = run([b, '--exact', t], CWD, env0, 300)
    took[t] = r['took']
    for l in (open(tr).read().split() if os.path.exists(tr) else []): reach.setdefault(int(l), []).append((b, t))
print('slowest', sorted(((v, k) for k, v in took.items()), reverse=True)[:8], 'sum', sum(took.values()), flush=True)
json.dump({str(k): [t for _, t in v] for k, v in reach.items()}, open(f'/tmp/mut/rows.reach.{PHASE}.json', 'w'))
muts = json.load(open('/tmp/mut/rows.json'))
drop = json.load(open('/tmp/mut/rows.drop.json'))
names = {k + 1: m['name'] for k, m in enumerate(muts)}
man, mids = manual.edits('/tmp/mut/orig', 9001)
for m in man:
    if m['file'].startswith('rows/'):
        for i in m['also']: names[i] = 'manual: ' + mids[i]
res = json.load(open(STATE)) if os.path.exists(STATE) else {}
only = None
if PHASE == 'new': only = {k for k, v in json.load(open('/tmp/mut/rows.result.old.json')).items() if v in ('survived', 'unreached')}; res = {}
started = time.time()
import random
order = sorted(names)
random.Random(19).shuffle(order)
order = [i for i in order if i > 9000] + [i for i in order if i < 9001]
for n, i in enumerate(order):
    k = str(i)
    if k in res or k in drop or (only is not None and k not in only): continue
    ts = reach.get(i, [])
    ts = sorted(ts, key=lambda bt: took[bt[1]])
    verdict = 'unreached' if not ts else None
    for b in BINS:
        if verdict == 'killed': break
        mine = [t for bb, t in ts if bb == b]
        # the fast ones first, in one process, then the slow ones
        for group in ([t for t in mine if took[t] < 0.3], [t for t in mine if took[t] >= 0.3]):
            if not group: continue
            r = run([b, '--exact', '-q', '-Zunstable-options', '--fail-fast', *group], CWD, dict(env0, KEYTRAIL_MUTANT=k), 20 + 10 * sum(took[t] for t in group))
            if r['timeout']: verdict = 'timeout'; break
            if r['rc'] != 0:
                verdict = 'killed'; break
        if verdict in ('killed', 'timeout'): break
    res[k] = verdict or 'survived'
    if n % 25 == 0:
        json.dump(res, open(STATE, 'w'))
        c = {}
        for v in res.values(): c[v] = c.get(v, 0) + 1
        print(n, c, round(time.time() - started), flush=True)
json.dump(res, open(STATE, 'w'))
c = {}
for v in res.values(): c[v] = c.get(v, 0) + 1
print('DONE', c, round(time.time() - started))
