#!/usr/bin/env bash
# Makes the corpora of the fuzz targets: the sample logs, the hostile payloads and, where they are, the hostile inputs.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -e ../../shared/tools/badinputs.py ]; then
    python3 ../../shared/tools/badinputs.py "$work" --tiny 1 >/dev/null
else
    echo "SKIPPED: ../../shared/tools/badinputs.py is not here; the corpora have the sample logs only"
fi
python3 - "$work" <<'PYTHON'
import gzip, json, pathlib, sys, zlib

BYTES_MAX = 64 << 10  # Larger seeds only slow the fuzzer down.
work, corpus = pathlib.Path(sys.argv[1]), pathlib.Path("corpus")

def seed(target, name, data):
    if len(data) <= BYTES_MAX:
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

logs = [p for p in sorted(pathlib.Path("../sample-logs").rglob("*.json.gz")) + sorted((work / "cases").glob("*"))
        if p.is_file()]
for path in logs:
    data = path.read_bytes()
    # The first byte picks the name: even is .json.gz, odd is .json.
    seed("inflate_split", path.name, (b"\1" if path.name.endswith(".json") else b"\0") + data)
    if path.stat().st_size > BYTES_MAX:
        continue
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        records = json.loads(text)["Records"]
    except (ValueError, KeyError, TypeError, OSError, EOFError, RecursionError, zlib.error):
        continue
    for number, record in enumerate(records[:20] if isinstance(records, list) else []):
        seed("normalize", f"{path.name}.{number}", json.dumps(record).encode("utf-8", "surrogatepass"))
for path in sorted(pathlib.Path("../queries").rglob("*.sql")):
    seed("sql_guard", path.name, path.read_bytes())
manifest = work / "manifest.json"
if manifest.exists():
    for number, attack in enumerate(json.loads(manifest.read_text())["sql_attacks"]):
        seed("sql_guard", f"attack-{number}", attack["sql"].encode())
for folder in sorted(corpus.iterdir()):
    print(folder.name, len(list(folder.iterdir())), "seeds")
PYTHON
