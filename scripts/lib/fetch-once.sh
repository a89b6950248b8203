# shellcheck shell=bash
# Sourced by the scripts that fetch something by Maven for tests. Exit 77: it can not be had here.

skip() { echo "SKIPPED: $*" >&2; exit 77; }

# fetch_once DIR WHAT FETCH: runs the function FETCH in DIR, made if need be, unless it succeeded there before. Two callers at once fetch once.
fetch_once() {
    local dir=$1 what=$2 fetch=$3
    [ -f "$dir/complete" ] && return
    command -v java >/dev/null || skip 'no java'
    command -v mvn >/dev/null || skip 'no mvn'
    mkdir -p "$dir" || skip "can not write $dir"
    exec 9>"$dir/lock"
    flock 9
    [ -f "$dir/complete" ] && return
    (cd "$dir" && "$fetch") >"$dir/fetch.log" 2>&1 || skip "$what could not be fetched: $(tail -1 "$dir/fetch.log")"
    touch "$dir/complete"
}
