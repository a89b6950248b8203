#!/usr/bin/env bash
# postgres-binaries.sh VERSION   prints the bin folder of that PostgreSQL (13, 14, 16, 17, 18), fetching it by Maven the first time.
# For tests that hold the connector against every supported server (tests/lib/pg.sh takes the folder as PG_BIN).
# Exit 77 when Java or Maven is missing or the fetch fails.
set -uo pipefail
# shellcheck source=scripts/lib/fetch-once.sh
. "$(dirname "$0")/fetch-once.sh"
case ${1:-} in
    13) release=13.22.0 ;; 14) release=14.19.0 ;; 16) release=16.10.0 ;; 17) release=17.6.0 ;; 18) release=18.1.0 ;;
    *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64v8 ;; *) skip "no binaries for $(uname -m)" ;; esac
# Not below a home folder: root runs servers as user postgres, who could not enter it.
dir=/var/tmp/connectd-postgres-$(id -u)/$release

fetch() {
    timeout 600 mvn -q -B dependency:copy -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-$arch:$release" -DoutputDirectory=. &&
        python3 -m zipfile -e ./*.jar . && tar xJf ./*.txz && rm -f ./*.jar ./*.txz && chmod -R a+rX .
}

fetch_once "$dir" "PostgreSQL $release" fetch
echo "$dir/bin"
