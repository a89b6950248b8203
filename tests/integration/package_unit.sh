#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# systemd's own opinion of the unit files and drop-ins: nothing to complain about, and an exposure of 1.6 at most.
set -euo pipefail
command -v systemd-analyze >/dev/null || { echo 'skipped: needs systemd-analyze'; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# verify wants the program to be there; which one does not matter to it.
stage() {
    rm -rf "$dir/units"; mkdir "$dir/units"
    cp "$SRC"/packaging/systemd/*.service "$SRC"/packaging/systemd/*.socket "$dir/units"
    sed -i 's|/usr/bin/connectd|/bin/true|' "$dir/units/connectd.service"
}
clean() { # clean WHAT: verify says nothing at all
    local said
    said=$(systemd-analyze verify --man=no "$dir"/units/connectd* 2>&1) || { echo "$1: $said"; exit 1; }
    [ -z "$said" ] || { echo "$1: $said"; exit 1; }
}

stage; clean 'the units'
for drop in "$SRC"/packaging/drop-ins/*.conf; do
    stage
    mkdir "$dir/units/connectd.service.d"; cp "$drop" "$dir/units/connectd.service.d"
    said=$(systemd-analyze verify --man=no "$dir/units/connectd.service" 2>&1) || true
    [ -z "$said" ] || { echo "$drop: $said"; exit 1; }
done

stage
exposure=$(systemd-analyze security --offline=yes --no-pager "$dir/units/connectd.service" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
awk -v e="$exposure" 'BEGIN { exit !(e != "" && e + 0 <= 1.6) }' || { echo "exposure is '$exposure', not 1.6 or less"; exit 1; }
echo "verify: clean; exposure: $exposure"
