#!/usr/bin/env bash
# Makes the corpora of the fuzz targets, and the words they are mutated with: the sample logs, the records of the tests,
# the queries and, where they are, the hostile inputs.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As for the tests, a folder that is named is named from the top of the repository.
hostile=$(cd .. && realpath -m "${KEYTRAIL_SHARED:-../shared}")/tools/badinputs.py
if [ -e "$hostile" ]; then
    python3 "$hostile" "$work" --tiny 1 >/dev/null
else
    echo "SKIPPED: $hostile is not here; the corpora have no hostile logs"
fi
python3 - "$work" <<'PYTHON'
import gzip, hashlib, json, pathlib, re, stat, sys, zlib

BYTES_MAX = 16 << 10  # Larger seeds only slow the fuzzer down.
WORDS_MAX = 1000
work, corpus = pathlib.Path(sys.argv[1]), pathlib.Path("corpus")
words = {"inflate_split": {'{"Records":[', '{"Events":[', '{"logEvents":[', "\ufeff", "\n{", "]}", "\\u006b"},
         "normalize": {"\\u006b", '":{"', '":["', '":null'}, "sql_guard": set(),
         "digest_names": {"_CloudTrail-Digest_", "_backfill.json.gz", "s3://", "cloudtrail://", "…@", "://u:p@"}}

def seed(target, data):
    if len(data) <= BYTES_MAX:
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        # Named as libFuzzer names what it finds, so that nothing is there twice.
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)

def texts(value):
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value

def record(value):
    seed("normalize", json.dumps(value, separators=(",", ":")).encode())
    words["normalize"] |= {text for text in texts(value) if 2 < len(text) <= 60}

samples = sorted(pathlib.Path("../sample-logs").rglob("*.json.gz"))
hostile = [path for path in sorted((work / "cases").glob("*")) if stat.S_ISREG(path.lstat().st_mode)]
for number, path in enumerate(samples + hostile):
    data = path.read_bytes()
    # How the first byte is read stands in the target: here the bytes as they are, and their text in other ways.
    plain = path.name.endswith(".json")
    seed("inflate_split", bytes([plain | number % 32 << 3]) + data)
    try:
        inflate = zlib.decompressobj(31)
        text = inflate.decompress(data, BYTES_MAX) if data[:2] == b"\x1f\x8b" else data
    except zlib.error:
        continue
    for how in range(4):
        seed("inflate_split", bytes([(how << 1 or 1) | number % 32 << 3]) + text)
    try:
        records = json.loads(text)["Records"]
    except (ValueError, KeyError, TypeError, RecursionError):
        continue
    for value in records[:20] if isinstance(records, list) else []:
        try:
            record(value)
        except (ValueError, RecursionError):
            continue
digests = [path for path in samples if "_CloudTrail-Digest_" in path.name]
digests += sorted(pathlib.Path("../tests/cases").rglob("*_CloudTrail-Digest_*.json"))
for path in digests:
    data = path.read_bytes()
    body = gzip.decompress(data) if path.suffix == ".gz" else data
    seed("digest_names", path.name.encode() + b"\n" + body)
    words["digest_names"] |= {text for text in texts(json.loads(body)) if 2 < len(text) <= 60}
for location in ["s3://user:secret@bucket/AWSLogs/", "cloudtrail://eu-west-1,us-east-1", "https://u:p@h/x 'http://a@b'"]:
    seed("digest_names", location.encode())
for path in sorted(pathlib.Path("../tests/records").glob("*.json")):
    record(json.loads(path.read_text()))
for path in sorted(pathlib.Path("../queries").rglob("*.sql")):
    seed("sql_guard", path.read_bytes())
manifest = work / "manifest.json"
if manifest.exists():
    for attack in json.loads(manifest.read_text())["sql_attacks"]:
        seed("sql_guard", attack["sql"].encode())
for path in (corpus / "sql_guard").iterdir():
    words["sql_guard"] |= set(re.findall(r"[A-Za-z_]{2,30}", path.read_text(errors="replace")))
for target, found in words.items():
    escaped = lambda text: "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02X}" for b in text.encode("utf-8", "surrogatepass"))
    lines = [f'"{escaped(word)}"\n' for word in sorted(found, key=lambda word: (len(word), word))[:WORDS_MAX]]
    (corpus / f"{target}.dict").write_text("".join(lines))
    print(target, len(list((corpus / target).iterdir())), "seeds,", len(lines), "words")
PYTHON
