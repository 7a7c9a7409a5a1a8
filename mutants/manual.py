# The 18 of audit.md, adapted. (name, [(file, find, replacement with MUT)])
R='rows/src/'
M = [
('1a duplicate key accepted', [(R+'json/parser.rs','if duplicate { Err(JsonFault::DuplicateKey)','if duplicate && !MUT { Err(JsonFault::DuplicateKey)')]),
('1b duplicate key accepted where escaped', [(R+'json/parser.rs','a.0 == b.0 && value(a.1) == value(b.1)','a.0 == b.0 && value(a.1) == value(b.1) && !(MUT && (nodes[a.1 as usize].escaped || nodes[b.1 as usize].escaped))')]),
('2a second Records accepted', [(R+'decode/split.rs','if self.arrays_seen & bit != 0 && (is_array','if !MUT && self.arrays_seen & bit != 0 && (is_array')]),
('2b names of members compared by bytes', [(R+'decode/split.rs','self.member = KnownMember::of(&key);','self.member = if MUT { KnownMember::of(&format!("{}", String::from_utf8_lossy(&key_raw))) } else { KnownMember::of(&key) };'),
   (R+'decode/split.rs','        let key = key_text(key)?;\n        let start = self.at;','        let key_raw = key[1..key.len() - 1].to_vec();\n        let key = key_text(key)?;\n        let start = self.at;')]),
('3a quarantined counted as kept', [('src/table/scan.rs','seen.counts.quarantined += 1;','if MUT { seen.counts.kept += 1; } else { seen.counts.quarantined += 1; }')]),
('3b quarantined records do not make a run incomplete', [('src/table/accounting.rs','|| self.counts.quarantined > self.accepted.quarantined','|| !MUT && self.counts.quarantined > self.accepted.quarantined')]),
('4 ledger committed before events', [('src/store/append.rs','''            let adds = batch.events.clone();
''','''            if MUT {
                for (id, file) in pending.beside.iter().cloned().chain([(TableId::Objects, pending.objects.clone())]) {
                    let change = CommitContent { adds: vec![file], batch: Some(batch.number), ..CommitContent::default() };
                    let _ = self.commit(id, change).await?;
                }
                let adds = batch.events.clone();
                let change = CommitContent { adds, batch: Some(batch.number), notes: notes(&pending)?, ..CommitContent::default() };
                let done = self.commit(TableId::Events, change).await?;
                self.settle(batch.number, None);
                return Ok(done);
            }
            let adds = batch.events.clone();
''')]),
('5a no If-None-Match', [('src/source/object_store/put.rs','PutCondition::Absent => request.if_none_match("*")','PutCondition::Absent if MUT => request,\n            PutCondition::Absent => request.if_none_match("*")')]),
('5b a local commit replaces another', [('src/store/durable_files.rs','PutMode::Create => self.write(location, payload, IfThere::Refuse).await','PutMode::Create => self.write(location, payload, if MUT { IfThere::Replace } else { IfThere::Refuse }).await')]),
('6a guard lets COPY through', [('src/sql/guard.rs','''        _ => Err(Refusal::NotAQuery),
    }
}

fn is_query''','''        DfStatement::CopyTo(_) if MUT => Ok(()),
        _ => Err(Refusal::NotAQuery),
    }
}

fn is_query''')]),
('6b guard lets EXPLAIN COPY through', [('src/sql/guard.rs','DfStatement::Explain(explain) => only_reads','DfStatement::Explain(_) if MUT => Ok(()),\n        DfStatement::Explain(explain) => only_reads')]),
]
for c in ['=', '+', '-', '@', '\\u{ff1d}', '\\u{ff0b}', '\\u{ff0d}', '\\u{ff20}']:
    M.append((f'7a CSV guard off for {c}', [('src/output/csv.rs', "'\\u{ff0d}' | '\\u{ff20}');", None, f"c == '{c}'")]))
M.append(('7b CSV guard off for headers', [('src/output/csv.rs','csv.field(cell::CellKind::Text)?','csv.field(if MUT { cell::CellKind::Bare } else { cell::CellKind::Text })?')]))
for name, rng in [('C1', "('\\u{80}'..='\\u{9f}').contains(&c)"), ('direction overrides', "('\\u{202a}'..='\\u{202e}').contains(&c)"), ('isolates', "('\\u{2066}'..='\\u{2069}').contains(&c)"), ('direction marks', "('\\u{200e}'..='\\u{200f}').contains(&c)"), ('ALM', "c == '\\u{61c}'"), ('line separators', "('\\u{2028}'..='\\u{2029}').contains(&c)")]:
    M.append((f'8 left out: {name}', [('src/output/visible.rs','        return c.is_ascii_control();\n    }\n', None, rng)]))
M += [
('9 a link out of the tree is read', [('src/source/local.rs','Ok(_) if !real.starts_with(root) => EntryCode::LinkEscape','Ok(_) if !MUT && !real.starts_with(root) => EntryCode::LinkEscape'),
  ('src/source/local.rs','let code = (!left_to_root).then(|| judge_link(&folder.real, &name, folder.root));','if MUT && judge_link(&folder.real, &name, folder.root) == EntryCode::LinkInside { return children.push(bytes, Some(EntryCode::Log)); }\n            let code = (!left_to_root).then(|| judge_link(&folder.real, &name, folder.root));')]),
('10 second gzip member dropped', [(R+'decode/inflate.rs','        if is_member {\n            return self.header();','        if is_member && MUT {\n            self.state = InflateState::Done;\n            return Ok(());\n        }\n        if is_member {\n            return self.header();')]),
('11a record of 16 MiB + 1 accepted', [(R+'decode/split.rs','let too_large = length > RECORD_BYTES_MAX as u64;','let too_large = length > RECORD_BYTES_MAX as u64 + u64::from(MUT);')]),
('11b record of 16 MiB + 1 salvaged', [(R+'decode/salvage.rs','let is_too_long = length > RECORD_BYTES_MAX as u64;','let is_too_long = length > RECORD_BYTES_MAX as u64 + u64::from(MUT);')]),
('11c record of 16 MiB refused', [(R+'decode/split.rs','let too_large = length > RECORD_BYTES_MAX as u64;','let too_large = length > RECORD_BYTES_MAX as u64 - u64::from(MUT);')]),
('12a --until inclusive: scan', [('src/table/scan.rs','.is_none_or(|(time, until)| time < until)','.is_none_or(|(time, until)| if MUT { time <= until } else { time < until })')]),
('12b --until inclusive: store', [('src/sql/interval.rs','time.clone().lt(timestamp(until))','if MUT { time.clone().lt_eq(timestamp(until)) } else { time.clone().lt(timestamp(until)) }')]),
('12c --until inclusive: rows with a moment of a derived table', [('src/sql/derived.rs','until.map(|until| or_unknown(at, col(at).lt(until)))','until.map(|until| or_unknown(at, if MUT { col(at).lt_eq(until) } else { col(at).lt(until) }))')]),
('12d --until inclusive: periods of a derived table', [('src/sql/derived.rs','''            RowTime::Until(first, end) => [
                since.map(|since| or_unknown(end, col(end).gt(since))),
                until.map(|until| or_unknown(first, col(first).lt(until))),''','''            RowTime::Until(first, end) => [
                since.map(|since| or_unknown(end, col(end).gt(since))),
                until.map(|until| or_unknown(first, if MUT { col(first).lt_eq(until) } else { col(first).lt(until) })),''')]),
('12e --until inclusive: answers about state', [('src/sql/state_answers.rs','scope.until.is_none_or(|until| answer.at < until)','scope.until.is_none_or(|until| if MUT { answer.at <= until } else { answer.at < until })')]),
('13a check skips SHA-256', [('src/store/proved_file.rs','''    match &file.sha256 {
        Some(expected) if''','''    if MUT { return None; }
    match &file.sha256 {
        Some(expected) if''')]),
('13b check skips the ledger', [('src/store/check.rs','if checked.fault_count == of_logs {','if checked.fault_count == of_logs && !MUT {')]),
('14a bounds of a file wrong, check silent: events', [('src/store/check.rs','found.fault = stats.fault(add);','found.fault = if MUT { None } else { stats.fault(add) };')]),
('14b bounds of a file wrong, check silent: other tables', [('src/store/check.rs','Some(Ok(stats)) => stats.fault(add).into_iter()','Some(Ok(stats)) => stats.fault(add).into_iter().filter(|_| !MUT)')]),
('14c partition of a file wrong, check silent', [('src/store/check.rs','if found.elsewhere > 0 {','if found.elsewhere > 0 && !MUT {')]),
('15 memory pool unbounded', [('src/sql/mod.rs','FairSpillPool::new(options.memory_bytes_max)','FairSpillPool::new(if MUT { usize::MAX } else { options.memory_bytes_max })')]),
('16a conflict counted on both sides: scan', [('src/table/consumer.rs','self.conflicts += u64::from(copy == CopyKind::Conflict);','self.conflicts += u64::from(copy == CopyKind::Conflict) * (1 + u64::from(MUT));')]),
('16b conflict counted twice: spilled', [('src/table/consumer.rs','counts.conflicts += conflicts;','counts.conflicts += conflicts * (1 + u64::from(MUT));')]),
('16c conflict with the store counted on both sides', [('src/store/dedup.rs','StoreVerdict::Conflict if is_counted(at, row) => {}','StoreVerdict::Conflict if !MUT && is_counted(at, row) => {}')]),
('17 -o overwrites', [('src/output/target.rs','Ok(_) if existing == ExistingFile::Keep =>','Ok(_) if !MUT && existing == ExistingFile::Keep =>'),
   ('src/output/target.rs','ExistingFile::Keep => file.persist_noclobber(&path)','ExistingFile::Keep if MUT => file.persist(&path),\n                    ExistingFile::Keep => file.persist_noclobber(&path)')]),
('17b -o overwrites what came during the run', [('src/output/target.rs','ExistingFile::Keep => file.persist_noclobber(&path)','ExistingFile::Keep if MUT => file.persist(&path),\n                    ExistingFile::Keep => file.persist_noclobber(&path)')]),
('18a LIMIT claims full accounts: scan', [('src/table/scan.rs','let complete = !stopped && request.objects.is_none();','let complete = (MUT || !stopped) && request.objects.is_none();')]),
('18b LIMIT claims full accounts: reader left', [('src/sql/answer.rs','ScanOutcome::Left => Some(Accounting::stopped())','ScanOutcome::Left if MUT => Some(Accounting::none()),\n                ScanOutcome::Left => Some(Accounting::stopped())')]),
]

def build(root, first):
    """Applies all manual mutants to the files below root by plain replacement; returns {id: name}."""
    ids, files, points = {}, {}, {}
    for k, (name, edits) in enumerate(M):
        n = first + k; ids[n] = name
        on = f'crate::mutant::on({n})'
        for e in edits:
            file, find = e[0], e[1]
            text = files.get(file) or open(f'{root}/{file}').read()
            if e[2] is None:
                if 'csv' in file: rep = find[:-1] + f' && !({on} && {e[3]}) ' + ';' if False else None
                points.setdefault((file, find), []).append((on, e[3])); files[file] = text; continue
            files[file] = text
            points.setdefault((file, find), []).append((on, e[2], 'x'))
    for (file, find), reps in points.items():
        text = files[file]
        assert text.count(find) == 1, (file, find, text.count(find))
        if len(reps[0]) == 2:
            if 'csv' in file:
                cond = ''.join(f' && !({on} && {c})' for on, c in reps)
                new = find[:-1] + cond + ';'
            else:
                new = find + ''.join(f'    if {on} && {c} {{ return false; }}\n' for on, c in reps)
        elif len(reps) == 1:
            new = reps[0][1].replace('MUT', reps[0][0])
        else:  # several at one place
            if 'RECORD' in find:
                new = 'let too_large = length > RECORD_BYTES_MAX as u64' + f' + u64::from({reps[0][0]}) - u64::from({reps[1][0]});'
            elif 'persist' in find:
                new = f'ExistingFile::Keep if {reps[0][0]} || {reps[1][0]} => file.persist(&path),\n                    ' + find
            else: raise Exception(find)
        files[file] = text.replace(find, new)
    for f, t in files.items(): open(f'{root}/{f}', 'w').write(t)
    return ids

def edits(root, first):
    """As mutants of the genre Text, trimmed to what differs."""
    import tempfile, shutil, os
    global _open
    ids = {}
    tmp = tempfile.mkdtemp()
    touched = sorted({e[0] for _, es in M for e in es})
    out = []
    points = {}
    for k, (name, es) in enumerate(M):
        n = first + k; ids[n] = name
        on = f'crate::mutant::on({n})'
        for e in es:
            points.setdefault((e[0], e[1]), []).append((n, on, e[2] if e[2] is not None else None, e[3] if len(e) > 3 else None))
    for (file, find), reps in points.items():
        text = open(f'{root}/{file}').read()
        assert text.count(find) == 1, (file, find)
        if reps[0][2] is None:
            if 'csv' in file: new = find[:-1] + ''.join(f' && !({r[1]} && {r[3]})' for r in reps) + ';'
            else: new = find + ''.join(f'    if {r[1]} && {r[3]} {{ return false; }}\n' for r in reps)
        elif len(reps) == 1: new = reps[0][2].replace('MUT', reps[0][1])
        elif 'RECORD' in find: new = f'let too_large = length > RECORD_BYTES_MAX as u64 + u64::from({reps[0][1]}) - u64::from({reps[1][1]});'
        elif 'persist' in find: new = f'ExistingFile::Keep if {reps[0][1]} || {reps[1][1]} => file.persist(&path),\n                    ' + find
        else: raise Exception(find)
        at = text.index(find)
        a = 0
        while a < min(len(find), len(new)) and find[a] == new[a]: a += 1
        b = 0
        while b < min(len(find), len(new)) - a and find[len(find)-1-b] == new[len(new)-1-b]: b += 1
        s, e = len(text[:at+a].encode()), len(text[:at+len(find)-b].encode())
        out.append({'id': reps[0][0], 'also': [r[0] for r in reps], 'file': file, 'genre': 'Text', 's': s, 'e': e, 'replacement': new[a:len(new)-b]})
    return out, ids
