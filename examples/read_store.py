#!/usr/bin/env python3
"""Reads a store of keytrail with tools that are not keytrail, and compares what they count.

In: a store, a directory. Out: a table of events by name and principal, one column for each reader; exit code 1 when
they disagree. Never writes.

    pip install deltalake pyarrow pandas duckdb chdb
    python examples/read_store.py events.store --keytrail target/debug/keytrail
"""

import argparse
import contextlib
import csv
import io
import os
import subprocess
import sys
from collections import Counter

import chdb
import duckdb
import pandas
from deltalake import DeltaTable

COLUMNS = ["event_name", "principal"]
SQL = "SELECT event_name, principal, count(*) AS events FROM {} GROUP BY 1, 2"
ROWS_MAX = 20  # of those on which all agree


def with_pyarrow(table):
    rows = table.to_pyarrow_table(columns=COLUMNS)
    counts = rows.group_by(COLUMNS).aggregate([([], "count_all")])
    return counter(zip(counts["event_name"].to_pylist(), counts["principal"].to_pylist(),
                       counts["count_all"].to_pylist()))


def with_pandas(table):
    files = [pandas.read_parquet(file, columns=COLUMNS) for file in table.file_uris()]
    rows = pandas.concat(files or [pandas.DataFrame(columns=COLUMNS)])
    counts = rows.groupby(COLUMNS, dropna=False).size()
    return counter((name, principal, n) for (name, principal), n in counts.items())


def with_duckdb(table, path):
    """The extension `delta` reads the log itself; without it, DuckDB reads the files that the log names."""
    try:
        duckdb.sql("INSTALL delta; LOAD delta")
        rows, how = duckdb.execute(SQL.format("delta_scan(?)"), [path]).fetchall(), "delta_scan"
    except duckdb.Error:
        files = table.file_uris()  # DuckDB refuses an empty list
        rows = duckdb.execute(SQL.format("read_parquet(?)"), [files]).fetchall() if files else []
        how = "read_parquet"
    return counter(rows), how


def with_clickhouse(path):
    """Reads the log itself."""
    with contextlib.chdir(path):  # it reads below the working directory only
        text = chdb.query(SQL.format("deltaLakeLocal({path:String})"), "CSVWithNames", params={"path": path}).data()
    return counter_of_csv(text)


def with_keytrail(binary, store):
    command = [binary, "query", "-q", "--from", store, "-f", "csv", SQL.format("events")]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode not in (0, 3):  # 3: some of what the store was made of could not be read
        done.check_returncode()
    return counter_of_csv(done.stdout)


def counter_of_csv(text):
    return counter((row["event_name"], row["principal"], row["events"]) for row in csv.DictReader(io.StringIO(text)))


def counter(rows):
    # CSV cannot tell NULL from an empty text, and a store has no empty texts.
    return Counter({("" if pandas.isna(name) else name, principal): int(n) for name, principal, n in rows})


def show(counts):
    """Prints the rows on which readers differ, and the most frequent others."""
    keys = sorted(set().union(*counts.values()), key=lambda key: (-max(c[key] for c in counts.values()), key))
    differ = [key for key in keys if len({c[key] for c in counts.values()}) > 1]
    agreed = [key for key in keys if key not in set(differ)]
    shown = differ + agreed[:ROWS_MAX]
    wide = [max([len(title)] + [len(key[i]) for key in shown]) for i, title in enumerate(COLUMNS)]

    def line(first, second, cells, note=""):
        print(f"{first:<{wide[0]}}  {second:<{wide[1]}}  " + "  ".join(f"{cell:>9}" for cell in cells) + note)

    line(*COLUMNS, counts)
    for key in shown:
        line(*key, [c[key] for c in counts.values()], "  differ" if key in differ else "")
    if len(agreed) > ROWS_MAX:
        print(f"({len(agreed) - ROWS_MAX} more rows, on which all agree)")
    line("all", "", [c.total() for c in counts.values()])
    return differ


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("store", metavar="STORE", help="a directory that `keytrail ingest --store` wrote")
    arguments.add_argument("--keytrail", metavar="BINARY", help="also ask this binary")
    asked = arguments.parse_args()
    path = os.path.abspath(os.path.join(asked.store, "events"))
    table = DeltaTable(path)
    print(f"version {table.version()}, {len(table.file_uris())} files")
    counts = {"pyarrow": with_pyarrow(table), "pandas": with_pandas(table)}
    counts["duckdb"], how = with_duckdb(table, path)
    print(f"duckdb used {how}")
    counts["clickhouse"] = with_clickhouse(path)
    if asked.keytrail:
        counts["keytrail"] = with_keytrail(asked.keytrail, asked.store)
    differ = show(counts)
    print(f"they disagree on {len(differ)} rows" if differ else "all agree")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
