"""Asks keytrail for the last use of the keys in some lines of `asked`, each with its answer of GetKeyLastUsage."""
import csv
import subprocess
import sys
import tempfile

first, last = map(int, sys.argv[1:])
for line in open("asked", encoding="utf-8").readlines()[first - 1 : last]:
    name, key, answer = line.rstrip("\n").split("\t")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(answer + "\n")
        file.flush()
        given = [] if answer == "-" else ["-p", f"answer=@{file.name}"]
        asked = ["keytrail", "query", "-q", "--from", "logs.json", "-f", "csv", "last-use", "-p", f"key={key}", *given]
        ended = subprocess.run(asked, capture_output=True, text=True)
    rows = list(csv.DictReader(ended.stdout.splitlines()))
    if len(rows) != 1:
        sys.exit(f"{name}: {ended.stdout}{ended.stderr}")
    print(name, *(rows[0][column] for column in ("last_use", "uses", "failed", "verdict", "why")), sep="|")
