import json, sys, re, os, shutil, subprocess
import tree_sitter_rust as r, tree_sitter as t
P = t.Parser(t.Language(r.language()))

class File:
    def __init__(s, text):
        s.src = text
        s.b = text.encode()
        s.lines = text.split('\n')
        s.starts = [0]
        for l in s.lines: s.starts.append(s.starts[-1] + len(l.encode()) + 1)
        s.tree = P.parse(s.b)
        s.nodes = []
        st = [s.tree.root_node]
        while st:
            n = st.pop(); s.nodes.append(n); st.extend(n.children)
    def off(s, p):
        l = s.lines[p['line']-1]
        return s.starts[p['line']-1] + len(l[:p['column']-1].encode())

def edits_of(f, muts):
    """mutants (id, m) of one file -> edits {(s,e,kind): dict}; and ids that cannot be expressed"""
    ed, bad = {}, []
    byop, byun, byarm, bypat, byfield = {}, {}, {}, {}, {}
    for n in f.nodes:
        if n.type in ('binary_expression', 'compound_assignment_expr'):
            o = n.child_by_field_name('operator'); byop[o.start_byte] = n
        elif n.type == 'unary_expression': byun[n.start_byte] = n
        elif n.type == 'match_arm':
            byarm[n.start_byte] = n
            for c in n.children:   # attributes come first
                if c.type != 'attribute_item': byarm.setdefault(c.start_byte, n); break
        elif n.type == 'match_pattern':
            c = n.child_by_field_name('condition')
            if c: bypat[c.start_byte] = (n, c)
        elif n.type in ('field_initializer', 'shorthand_field_initializer'): byfield[n.start_byte] = n
    for i, m in muts:
        g = m['genre']
        if g == 'Text':
            ed.setdefault((m['s'], m['e'], 'text'), []).append((i, m['replacement'])); continue
        s = f.off(m['span']['start']); e = f.off(m['span']['end'])
        if g == 'FnValue':
            ed.setdefault((s, s, 'fn'), []).append((i, m['replacement']))
        elif g == 'BinaryOperator' and s in byop:
            n = byop[s]; ed.setdefault((n.start_byte, n.end_byte, 'bin', n), []).append((i, m['replacement']))
        elif g == 'UnaryOperator' and s in byun:
            n = byun[s]; ed.setdefault((n.start_byte, n.end_byte, 'un', n), []).append((i, m['replacement']))
        elif g == 'MatchArm' and s in byarm:
            n = byarm[s]; ed.setdefault((n.start_byte, n.end_byte, 'arm', n), []).append((i, ''))
        elif g == 'MatchArmGuard' and s in bypat:
            n, c = bypat[s]; ed.setdefault((c.start_byte, c.end_byte, 'guard', c), []).append((i, m['replacement']))
        elif g == 'StructField' and s in byfield:
            n = byfield[s]
            st = n.parent.parent
            ed.setdefault((st.start_byte, st.end_byte, 'struct', st), []).append((i, n))
        elif g == 'Text':
            ed.setdefault((m['s'], m['e'], 'text'), []).append((i, m['replacement']))
        else: bad.append(i)
    return ed, bad

class Emit:
    def __init__(s, f, ed, prefix):
        s.f = f; s.out = bytearray(); s.map = []   # (start,end,[ids], level)
        s.on = lambda i: f'{prefix}::mutant::on({i})'
        order = {'fn': 2, 'arm': 0, 'text': 0}
        s.ed = sorted(ed.items(), key=lambda kv: (kv[0][0], -kv[0][1], 0))
        s.used = set()
    def put(s, x): s.out += x.encode() if isinstance(x, str) else x
    def alt(s, i, text):
        a = len(s.out); s.put(text); s.map.append((a, len(s.out), [i], 'alt'))
    def go(s, a, e, skip=()):
        f = s.f.b; p = a
        while True:
            best = None
            for k, v in s.ed:
                if k in skip or (k[0], k[1], k[2]) in s.used: continue
                if k[0] >= p and k[1] <= e:
                    key = (k[0], 0 if k[2] == 'fn' else 1, -k[1])
                    if best is None or key < best[0]: best = (key, k, v)
                elif k[0] > e: break
            if best is None: break
            _, k, v = best
            s.used.add((k[0], k[1], k[2]))
            s.put(f[p:k[0]]); p = k[1]
            a0 = len(s.out)
            s.render(k, v)
            s.map.append((a0, len(s.out), [i for i, _ in v], 'whole', k[2]))
        s.put(f[p:e])
    def orig(s, n): return s.f.b[n.start_byte:n.end_byte]
    def render(s, k, v):
        f = s.f.b; kind = k[2]
        if kind == 'fn':
            for i, rep in v:
                s.alt(i, f'if {s.on(i)} {{ return {rep}; }} ')
            return
        if kind == 'text':
            (i, rep), = v
            s.alt(i, rep.replace('MUT', s.on(i))); return
        n = k[3]
        if kind == 'bin':
            l, rr, o = (n.child_by_field_name(x) for x in ('left', 'right', 'operator'))
            s.put('(')
            for i, rep in v:
                s.alt(i, b'if ' + s.on(i).encode() + b' { ' + wrap(s, l, n) + b' ' + rep.encode() + b' (' + s.orig(rr) + b') } else ')
            s.put('{ '); s.go(n.start_byte, n.end_byte); s.put(' })')
        elif kind == 'un':
            (i, rep), = v
            s.put('('); s.alt(i, b'if ' + s.on(i).encode() + b' { ' + f[n.start_byte+1:n.end_byte] + b' } else ')
            s.put('{ '); s.go(n.start_byte, n.end_byte); s.put(' })')
        elif kind == 'arm':
            (i, _), = v
            pat = n.child_by_field_name('pattern'); c = pat.child_by_field_name('condition')
            if c is None:
                s.go(n.start_byte, pat.end_byte); s.alt(i, f' if !{s.on(i)}'); s.go(pat.end_byte, n.end_byte)
            else:
                s.go(n.start_byte, c.start_byte); s.alt(i, f'!{s.on(i)} && ('); s.go(c.start_byte, c.end_byte); s.put(')'); s.go(c.end_byte, n.end_byte)
        elif kind == 'guard':
            for i, rep in v:
                s.alt(i, f'{s.on(i)} || ' if rep == 'true' else f'!{s.on(i)} && ')
            # both: on(t) || (!on(f) && (guard))
            s.put('('); s.go(n.start_byte, n.end_byte); s.put(')')
        elif kind == 'struct':
            s.put('(')
            for i, fld in v:
                a, e = fld.start_byte, fld.end_byte
                while e < len(f) and f[e:e+1] in b' \n\t': e += 1
                if f[e:e+1] == b',': e += 1
                s.alt(i, b'if ' + s.on(i).encode() + b' { ' + f[n.start_byte:a] + f[e:n.end_byte] + b' } else ')
            s.put('{ '); s.go(n.start_byte, n.end_byte); s.put(' })')

def wrap(s, l, n):
    t = s.orig(l)
    return t if n.type == 'compound_assignment_expr' else b'(' + t + b')'

MOD = '''
pub mod mutant {
    //! The switch: one mutant is on, by its number; and a trace of those that are met.
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    static AT: LazyLock<u32> =
        LazyLock::new(|| std::env::var("KEYTRAIL_MUTANT").ok().and_then(|v| v.parse().ok()).unwrap_or(0));
    static TRACE: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
        let path = std::env::var_os("KEYTRAIL_MUTANT_TRACE")?;
        std::fs::OpenOptions::new().append(true).create(true).open(path).ok()
    });
    static MET: [AtomicBool; 10000] = [const { AtomicBool::new(false) }; 10000];
    #[inline]
    pub fn on(n: u32) -> bool {
        if TRACE.is_some() { met(n); }
        *AT == n
    }
    #[cold]
    fn met(n: u32) {
        if !MET[n as usize].swap(true, Ordering::Relaxed) && let Some(mut file) = TRACE.as_ref() {
            file.write_all(format!("{n}\\n").as_bytes()).ok();
        }
    }
}
'''

def generate(orig, out, muts, drop, lib, deconst):
    """muts: list of dict with 'id','file'; orig/out tree roots; lib: path of lib.rs"""
    byfile = {}
    for m in muts: byfile.setdefault(m['file'], []).append((m['id'], m))
    maps, inexpressible = {}, []
    for file, ms in byfile.items():
        text = open(f'{orig}/{file}').read()
        f = File(text)
        ed, bad = edits_of(f, [(i, m) for i, m in ms if i not in drop])
        inexpressible += bad
        em = Emit(f, ed, 'crate'); em.go(0, len(f.b))
        missing = set(i for i, m in ms if i not in drop) - set(bad) - set(i for x in em.map for i in x[2])
        inexpressible += list(missing)
        outb = bytes(em.out)
        res = outb.decode()
        if file not in deconst.get('keep_files', []):
            pad = lambda mm: mm.group(0).replace('const fn', '      fn')
            res = '\n'.join(re.sub(r'\bconst fn (\w+)', lambda mm: mm.group(0) if mm.group(1) in deconst['keep'] else '      fn ' + mm.group(1), l) for l in res.split('\n'))
        old = open(f'{out}/{file}').read() if os.path.exists(f'{out}/{file}') else None
        if old != res: open(f'{out}/{file}', 'w').write(res)
        maps[file] = em.map
    return maps, inexpressible

def compile_loop(orig, out, muts, lib, cmd, cwd, statefile, deconst, strip='', rounds=25):
    drop = json.load(open(statefile)) if os.path.exists(statefile) else {}
    for rnd in range(rounds):
        maps, bad = generate(orig, out, muts, set(map(int, drop)), lib, deconst)
        for i in bad: drop[str(i)] = 'no switch'
        pr = subprocess.run(cmd, cwd=cwd, capture_output=True, text=True)
        errs, hit = 0, set()
        lost = []
        for line in pr.stdout.splitlines():
            try: j = json.loads(line)
            except ValueError: continue
            if j.get('reason') != 'compiler-message' or j['message']['level'] != 'error': continue
            m = j['message']
            if not m['spans']: continue
            errs += 1
            found = False
            for primary in (True, False):
                for sp in m['spans']:
                    if sp['is_primary'] != primary: continue
                    fn = sp['file_name']
                    fn = fn[len(cwd)+1:] if fn.startswith(cwd) else fn
                    key = next((k for k in maps if k == fn or k == strip + fn), None)
                    if key is None: continue
                    a, e = sp['byte_start'], sp['byte_end']
                    c = [x for x in maps[key] if x[3] == 'alt' and x[0] <= a and e <= x[1] ]
                    if not c: c = [x for x in maps[key] if x[3] == 'alt' and a <= x[0] and x[1] <= e and e - a < 400]
                    if c:
                        c = [min(c, key=lambda x: x[1]-x[0])] if any(x[0] <= a for x in c) else c
                        for x in c: hit.update(x[2])
                        found = True; break
                if found: break
            if not found:
                for sp in m['spans']:
                    fn = sp['file_name']; key = next((k for k in maps if k == fn or k == strip + fn), None)
                    if key is None: continue
                    a, e = sp['byte_start'], sp['byte_end']
                    c = [x for x in maps[key] if x[3] == 'whole' and x[0] <= a and e <= x[1]]
                    if c:
                        hit.update(min(c, key=lambda x: x[1]-x[0])[2]); found = True; break
            if not found and 'impl ' in m['rendered'] or not found and 'opaque' in m['rendered'] or not found and 'expected because of this' in m['rendered'] or not found and m.get('code') and m['code']['code'] == 'E0308':
                sp = next(x for x in m['spans'] if x['is_primary']); fn = sp['file_name']
                key = next((k for k in maps if k == fn or k == strip + fn), None)
                c = [x for x in maps.get(key, []) if x[3] == 'whole' and x[4] == 'fn' and x[0] <= sp['byte_start']]
                if c: hit.update(max(c, key=lambda x: x[0])[2]); found = True
            if not found: lost.append(m['rendered'][:600])
        print(f'round {rnd}: rc {pr.returncode}, {errs} errors, {len(hit)} to drop, {len(lost)} unplaced', flush=True)
        for i in hit: drop[str(i)] = 'does not compile'
        json.dump(drop, open(statefile, 'w'))
        if pr.returncode == 0: return drop
        if not hit:
            print('\n'.join(lost[:6])); print(pr.stderr[-3000:]); return None
        if lost: print(lost[0])
