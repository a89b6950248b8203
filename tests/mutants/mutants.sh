#!/bin/sh
# Each planted fault must turn the test red that is there to find it: a test that stays green with it proves nothing.
#
#   mutants.sh README SOURCES TEST…    the table of faults, the folder they are planted in, the test programs it names
# SPDX-License-Identifier: Apache-2.0
set -u
[ "$#" -gt 2 ] || { sed -n '4s/^# *//p' "$0"; exit 2; }
table=$1 sources=$2 missed=0
shift 2

# Lines of "fault test".
rows=$(sed -n 's/^| `\([a-z-]*\)` |.*| `\(test_[a-z_]*\)` |$/\1 \2/p' "$table")

path_of() {
    name=$1
    shift
    for test in "$@"; do [ "$(basename "$test")" = "$name" ] && echo "$test"; done
}

for mutant in $(grep -rho 'MUTANT("[a-z-]*")' "$sources" | sed 's/.*"\(.*\)".*/\1/' | sort -u); do
    echo "$rows" | grep -q "^$mutant " || { echo "MISSED $mutant: planted, but not in the table"; missed=1; }
done
for test in "$@"; do
    CONNECTD_MUTANT='' "$test" >/dev/null 2>&1 || { echo "FAILED $(basename "$test") is red without any fault"; exit 1; }
done
while read -r mutant name; do
    test=$(path_of "$name" "$@")
    grep -rq "MUTANT(\"$mutant\")" "$sources" || { echo "MISSED $mutant: it is not planted anywhere"; missed=1; }
    status=0
    [ -z "$test" ] || CONNECTD_MUTANT=$mutant timeout 60 "$test" >/dev/null 2>&1 || status=$?
    case $status in
        0) echo "MISSED $mutant: $name stays green"; missed=1 ;;
        124) echo "MISSED $mutant: $name hangs"; missed=1 ;;
        *) echo "caught $mutant by $name" ;;
    esac
done <<EOF
$rows
EOF
exit $missed
