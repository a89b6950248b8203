#!/usr/bin/env bash
# The connector against every supported PostgreSQL but Debian's own, which the other tests have: what Debezium wrote for the same SQL
# (golden/cdc.py), rights, slots, restarts and large transactions (server.py), and kills while streaming (cdc_kill.py).
# VERSIONS chooses among them; two run at a time.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export here
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

one() {
    local version=$1 failed=0 test
    PG_BIN=$("$here/../../scripts/lib/postgres-binaries.sh" "$version") || return 77
    export PG_BIN
    for test in golden/cdc.py unit/postgres-cdc/server.py 'crash/cdc_kill.py 4'; do
        # shellcheck disable=SC2086
        python3 "$here"/../$test || { echo "FAILED: $test on PostgreSQL $version"; failed=1; }
    done
    return $failed
}

status=0 skipped=0 versions=(${VERSIONS:-13 14 16 17 18})
for version in "${versions[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    (one "$version" >"$work/$version.log" 2>&1; echo $? >"$work/$version.rc") &
done
wait
for version in "${versions[@]}"; do
    rc=$(cat "$work/$version.rc")
    case $rc in
        0) echo "PostgreSQL $version: $(grep -c 'records identical' "$work/$version.log") golden variants, $(grep -c '^ok ' "$work/$version.log") cases, 4 kills" ;;
        77) skipped=$((skipped + 1)); tail -1 "$work/$version.log" ;;
        *) status=1; tail -60 "$work/$version.log" ;;
    esac
done
[ "$status" = 0 ] && [ "$skipped" = "${#versions[@]}" ] && exit 77
exit $status
