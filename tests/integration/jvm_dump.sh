#!/usr/bin/env bash
# Apache Kafka's DumpLogSegments reads a log of ours: every batch and record, every index entry, producer snapshots and the internal
# topics' records by their decoders. It must find all records, and nothing to complain about.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jars=$("$here/../../scripts/lib/kafka-jars.sh") || exit 77
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/log"
"${BUILD:?}/tests/integration/jvm_dump_store" "$work/log" >"$work/expected" || { echo 'the log could not be made'; exit 1; }

# dump OUT OPTIONS… FILES: one run of the tool.
dump() {
    local out=$1; shift
    java -Xmx512m -XX:+UseSerialGC -cp "$jars/*" org.apache.kafka.tools.DumpLogSegments "$@" >"$out" 2>"$out.err"
}
failed=0
complain() { echo "FAILED: $*"; failed=1; }

# list PATTERN SUFFIX: the files, comma separated.
list() { find "$work/log" -path "$work/log/$1/*$2" | sort | paste -sd,; }

check_output() { # OUT NAME
    local bad
    bad=$(grep -nE 'isvalid: false|Mismatches in|not found|Found timestamp|out of order|Exception|Error|corrupt|invalid' "$1" "$1.err" | grep -v 'log4j\|StatusLogger' | head -5)
    [ -z "$bad" ] || complain "$2: $bad"
    # The tool says "-1 is followed by" at the start of every later segment; a compacted log has gaps.
    bad=$(awk '/^Non-consecutive/ { gaps = /compacted-/ } /is followed by/ && $1 != -1 && !gaps' "$1" "$1.err" | head -5)
    [ -z "$bad" ] || complain "$2: offsets are missing: $bad"
}

# records OUT PARTITION: how many records the tool saw in a partition's segments.
records() { awk -v want="/$2/" '/^Dumping/ { here = index($0, want) } here && /^\| offset:/ { n++ } END { print n + 0 }' "$1"; }

dump "$work/data" --deep-iteration --print-data-log --files "$(list '[cpst]*' .log)" || complain "data: exit $?"
dump "$work/offsets" --offsets-decoder --files "$(list '__consumer_offsets-*' .log)" || complain "offsets: exit $?"
dump "$work/txns" --transaction-log-decoder --files "$(list '__transaction_state-*' .log)" || complain "transactions: exit $?"
dump "$work/index" --files "$(list '*' .index)" || complain "index: exit $?"
dump "$work/timeindex" --files "$(list '*' .timeindex)" || complain "timeindex: exit $?"
dump "$work/sanity" --index-sanity-check --files "$(list '*' index)" || complain "sanity: exit $?"
dump "$work/txnindex" --files "$(list '*' .txnindex)" || complain "txnindex: exit $?"
dump "$work/snapshot" --files "$(list '*' .snapshot)" || complain "snapshot: exit $?"
for out in data offsets txns index timeindex sanity txnindex snapshot; do check_output "$work/$out" "$out"; done

total=0
while read -r partition count _; do
    case $partition in
        __consumer*) saw=$(records "$work/offsets" "$partition") ;;
        __transaction*) saw=$(records "$work/txns" "$partition") ;;
        *) saw=$(records "$work/data" "$partition") ;;
    esac
    [ "$saw" = "$count" ] || complain "$partition: Kafka's tool saw $saw records of $count"
    total=$((total + count))
done <"$work/expected"
for what in 'index:offset:' 'timeindex:timestamp:' 'txnindex:producerId:' 'snapshot:producerId:'; do
    grep -q "${what#*:}" "$work/${what%%:*}" || complain "${what%%:*}: nothing was printed"
done
grep -q '"group":"connect-sink-' "$work/offsets" || complain 'no offset commit was decoded'
grep -q 'CompleteCommit\|"transactionStatus":4' "$work/txns" || complain 'no transaction state was decoded'
grep -q 'endTxnMarker: ABORT' "$work/data" || complain 'no end marker was seen'
grep -q 'deleteHorizonMs: OptionalLong\[' "$work/data" || complain 'no delete horizon was seen'
[ "$failed" = 0 ] || { [ -z "${KEEP:-}" ] || cp -r "$work" "$KEEP"; exit 1; }
echo "Kafka's tool read $total records in $(wc -l <"$work/expected") partitions, $(grep -c . "$work/index") lines of offset and $(grep -c . "$work/timeindex") of time index"
