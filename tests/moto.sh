#!/usr/bin/env bash
# Holds keytrail to an S3 server that is not ours, moto: pip install 'moto[server]'.
# In: the binary. Out: a line for each comparison with the same run on local files; exit 1 at the first that differs.
# Never leaves the server running, and asks nothing of AWS.
set -eu
keytrail=$(realpath "${1:?usage: tests/moto.sh KEYTRAIL}")
cd "$(dirname "$0")/.."
command -v moto_server >/dev/null || { echo "no moto_server in PATH"; exit 1; }
python3 -c 'import boto3' || { echo "python3 has no boto3, which comes with moto"; exit 1; }

work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
moto_server -H 127.0.0.1 -p "$port" >>"$work/moto.log" 2>&1 &
server=$!

# Three buckets: the sample logs, the same as those of an organization, and a folder of more objects than a page lists.
mkdir -p "$work/logs" "$work/organization/AWSLogs"
cp -R sample-logs/AWSLogs "$work/logs"
cp -R sample-logs/AWSLogs "$work/organization/AWSLogs/o-exampleorgid"
python3 - "$url" "$work" <<'PYTHON' || { cat "$work/moto.log"; exit 1; }
import concurrent.futures, json, pathlib, socket, sys, time, boto3
for _ in range(300):  # a minute
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1].rsplit(":")[-1])), 1).close()
        break
    except OSError:
        time.sleep(0.2)
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
work = pathlib.Path(sys.argv[2])
day = work / "pages/AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/10"
day.mkdir(parents=True)
for n in range(1100):
    record = {"eventTime": "2026-03-10T09:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
              "awsRegion": "us-east-1", "recipientAccountId": "111122223333", "eventID": f"{n:036}"}
    name = f"111122223333_CloudTrail_us-east-1_20260310T0905Z_{n:016}.json"
    (day / name).write_text(json.dumps({"Records": [record]}))
s3.create_bucket(Bucket="stores")
with concurrent.futures.ThreadPoolExecutor(8) as uploads:
    for bucket in "logs", "organization", "pages":
        s3.create_bucket(Bucket=bucket)
        put = lambda file: s3.put_object(
            Bucket=bucket, Key=file.relative_to(work / bucket).as_posix(), Body=file.read_bytes())
        list(uploads.map(put, (work / bucket).rglob("*.json*")))
PYTHON

s3() { "$keytrail" "$@" --endpoint-url "$url"; }
hash_of() { "$keytrail" store info -f json "$@" | sed -n 's/.*"\(events\|objects\|logical_hash\)": "*\([0-9a-f]*\).*/\1 \2/p'; }
# The accounts of a run, without its time.
accounts() { sed '/"seconds"/d' "$1"; }
same() {
    [ "$2" = "$3" ] && echo "ok: $1" && return
    printf 'FAILED: %s\n--- expected\n%s\n--- found\n%s\n' "$1" "$2" "$3"
    exit 1
}
proved() { s3 store check "$2" >"$work/check" || { cat "$work/check"; exit 1; }; echo "ok: $1"; }

"$keytrail" ingest -q sample-logs/AWSLogs --store "$work/store" --summary-json "$work/local.json"
expected=$(hash_of "$work/store")
told=$("$keytrail" audit -q -f json sample-logs/AWSLogs)

same "audit of a bucket" "$told" "$(s3 audit -q -f json s3://logs/)"
s3 ingest -q s3://logs/ --store s3://stores/one --summary-json "$work/first.json"
same "accounts of ingest" "$(accounts "$work/local.json")" "$(accounts "$work/first.json")"
same "store in a bucket" "$expected" "$(hash_of s3://stores/one --endpoint-url "$url")"
same "audit of a store in a bucket" "$told" "$(s3 audit -q -f json s3://stores/one)"
s3 ingest -q s3://logs/ --store s3://stores/one --summary-json "$work/second.json"
grep -q '"batches": 0' "$work/second.json" && echo "ok: nothing new the second time"
same "ingest twice" "$expected" "$(hash_of s3://stores/one --endpoint-url "$url")"
proved "check" s3://stores/one

events="SELECT * EXCLUDE (object_uri) FROM events ORDER BY event_id, raw"
# A question to a bucket and to the folder that it is a copy of, with a scope.
same_answer() {
    what=$1 bucket=$2
    shift 2
    same "$what" "$("$keytrail" query -q -f json "$events" --from "$work/$bucket/AWSLogs" "$@")" \
        "$(s3 query -q -f json "$events" --from "s3://$bucket/" "$@")"
}
objects() { s3 query -q -f csv "SELECT count(*), sum(kept) FROM objects" --from "$@" | tail -1; }
same_answer "pages of a listing" pages
same "each object of the pages once" 1100,1100 "$(objects s3://pages/)"
# Below an organization's folder, a switch of the other account may be one of this account's trail too.
of_organization=$("$keytrail" audit -q -f json "$work/organization/AWSLogs")
same "audit of an organization" "$of_organization" "$(s3 audit -q -f json s3://organization/)"
same_answer "an organization by its name" organization --org-id o-exampleorgid --account 444455556666
same "another organization" 0, "$(objects s3://organization/ --org-id o-otherorgid1 || true)"
: >"$work/moto.log"
same_answer "a scope" logs --account 444455556666 --region us-east-1 --since 2026-03-11
read=$(grep -o 'GET /logs/AWSLogs/[^ ]*' "$work/moto.log")
same "nothing is read beyond the scope" "" "$(grep -v '/444455556666/CloudTrail/us-east-1/2026/03/1[1-9]/' <<<"$read")"

# Killed three times, at so many writes.
: >"$work/moto.log"
for writes in 2 12 40; do
    "$keytrail" ingest -q s3://logs/ --store s3://stores/killed --batch-bytes 3000 --endpoint-url "$url" &
    writer=$!
    while kill -0 "$writer" 2>/dev/null && [ "$(grep -c 'PUT /stores/killed/' "$work/moto.log")" -lt "$writes" ]; do
        sleep 0.01
    done
    kill -KILL "$writer" 2>/dev/null || true
    code=0
    wait "$writer" 2>/dev/null || code=$?
    same "killed at $writes writes" 137 "$code"
done
s3 ingest -q s3://logs/ --store s3://stores/killed
same "a rerun after kills" "$expected" "$(hash_of s3://stores/killed --endpoint-url "$url")"
proved "check after kills" s3://stores/killed

# Small batches, so that the writers meet. One that always comes second may stop with 5, and nothing else.
writers=
for n in 1 2 3 4; do
    s3 ingest -q s3://logs/ --store s3://stores/many --batch-bytes 6000 2>"$work/writer$n" &
    writers="$writers $!"
done
finished=0
for writer in $writers; do
    code=0
    wait "$writer" || code=$?
    case $code in
        0) finished=$((finished + 1)) ;;
        5) ;;
        *) cat "$work"/writer?; echo "FAILED: a writer ended with $code"; exit 1 ;;
    esac
done
[ "$finished" -gt 0 ] || { cat "$work"/writer?; echo "FAILED: no writer finished"; exit 1; }
echo "ok: $finished of 4 writers finished"
same "four writers" "$expected" "$(hash_of s3://stores/many --endpoint-url "$url")"
proved "check after four writers" s3://stores/many
s3 store compact -q s3://stores/many
s3 store gc -q s3://stores/many --older-than 0d
same "compact and gc" "$expected" "$(hash_of s3://stores/many --endpoint-url "$url")"
proved "check after compact and gc" s3://stores/many
same "audit after compact and gc" "$told" "$(s3 audit -q -f json s3://stores/many)"
