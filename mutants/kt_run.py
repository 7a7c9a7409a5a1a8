import sys, json, os, glob, subprocess, time, re; sys.path.insert(0, '/tmp/mut')
from run import run
import manual
D = '/tmp/mut/kt/target/debug/deps/'
def newest(n): return max((p for p in glob.glob(D + n + '-*') if not p.endswith('.d') and os.access(p, os.X_OK) and not p.endswith('.rlib')), key=os.path.getmtime)
LIB, IT = newest('keytrail'), newest('it')
CWD = '/tmp/mut/kt'
env0 = {'RUSTC_BOOTSTRAP': '1'}
NOT = re.compile(r'^(attacks::ctrl|attacks::the_shell|flips::|docs::|layers::|manifest::|signatures::|golden::|realdata::|cloud::|remote::|signals::|policy::|screens::|determinism::|counters::|records::|hostile::|cases::|damage::bombs|world::delivery|store::writers_of_other|store::compactions_at_once|store::a_killed_run|buckets::a_body_that_crawls|s3::a_crawling|s3::large)')
TR = '/tmp/mut/kt.trace.json'
def listed(b):
    out = subprocess.run([b, '--list', '--format', 'terse'], cwd=CWD, capture_output=True, text=True).stdout
    return [l[:-6] for l in out.splitlines() if l.endswith(': test')]
def trace():
    st = json.load(open(TR)) if os.path.exists(TR) else {'took': {}, 'reach': {}, 'bad': []}
    for b, name in ((LIB, 'lib'), (IT, 'it')):
        for t in listed(b):
            key = name + ' ' + t
            if key in st['took'] or key in st['bad'] or (name == 'it' and NOT.match(t)): continue
            tr = '/tmp/mut/kt.trace.txt'
            if os.path.exists(tr): os.remove(tr)
            r = run([b, '--exact', t], CWD, dict(env0, KEYTRAIL_MUTANT_TRACE=tr), 75)
            if r['rc'] != 0:
                st['bad'].append(key); print('BAD', key, 'timeout' if r['timeout'] else r['out'][-600:], flush=True); continue
            st['took'][key] = r['took']
            for l in (open(tr).read().split() if os.path.exists(tr) else []): st['reach'].setdefault(l, []).append(key)
            if name == 'it': print(f"{r['took']:6.1f} {key}", flush=True); json.dump(st, open(TR, 'w'))
    json.dump(st, open(TR, 'w'))
    print('TRACED', len(st['took']), 'sum', sum(st['took'].values()), flush=True)
def mutants(ids, names, drop, budget, state):
    st = json.load(open(TR)); took, reach = st['took'], st['reach']
    res = json.load(open(state)) if os.path.exists(state) else {}
    started = time.time()
    for i in ids:
        k = str(i)
        if k in res or k in drop: continue
        ts = sorted(reach.get(k, []), key=lambda t: took[t])
        if not ts: res[k] = {'verdict': 'unreached'}; print(k, 'unreached', names[i], flush=True); continue
        libs = [t[4:] for t in ts if t.startswith('lib ')]
        its, cost = [], 0
        for t in ts:
            if t.startswith('it ') and (cost + took[t] <= budget or not its): its.append(t[3:]); cost += took[t]
        out = {'verdict': 'survived', 'lib': len(libs), 'it': its, 'of': len(ts)}
        for b, group, limit in ((LIB, libs, 60 + 3 * sum(took['lib ' + t] for t in libs)), (IT, its, 60 + 3 * cost)):
            if not group: continue
            r = run([b, '--exact', '-Zunstable-options', '--fail-fast', '--test-threads', '2', *group], CWD, dict(env0, KEYTRAIL_MUTANT=k), limit)
            if r['timeout']: out['verdict'] = 'timeout'; break
            if r['rc'] != 0:
                out['verdict'] = 'killed'; out['by'] = re.findall(r'test (\S+) \.\.\. FAILED', r['out']) or r['out'][-200:]; break
        res[k] = out
        json.dump(res, open(state, 'w'), indent=1)
        print(k, out['verdict'], out.get('by', ''), names[i], round(time.time() - started), flush=True)
if __name__ == '__main__':
    what = sys.argv[1]
    drop = json.load(open('/tmp/mut/kt.drop.json'))
    names = {m['id']: m['name'] for m in json.load(open('/tmp/mut/kt.drawn.json'))}
    man, mids = manual.edits('/tmp/mut/orig', 9001)
    if what == 'trace': trace()
    if what == 'manual': mutants(sorted(mids), mids, drop, 90, '/tmp/mut/kt.manual.json')
    if what == 'drawn':
        viable = [i for i in sorted(names) if str(i) not in drop][:150]
        mutants(viable, names, drop, 90, '/tmp/mut/kt.result.json')
    print('DONE', what)
