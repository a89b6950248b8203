#!/bin/sh
# Each planted fault must turn the test red that is there to find it: a test that stays green with it proves nothing.
# SPDX-License-Identifier: Apache-2.0
set -eu
[ "$#" -gt 0 ] || { echo "usage: mutants.sh TEST=mutant,mutant…"; exit 2; }

missed=0
for pair in "$@"; do
    test=${pair%%=*}
    name=$(basename "$test")
    CONNECTD_MUTANT='' "$test" >/dev/null 2>&1 || { echo "FAILED $name is red without any fault"; exit 1; }
    for mutant in $(echo "${pair#*=}" | tr , ' '); do
        if CONNECTD_MUTANT=$mutant timeout 120 "$test" >/dev/null 2>&1; then
            echo "MISSED $mutant: $name stays green"
            missed=1
        else
            echo "caught $mutant by $name"
        fi
    done
done
exit $missed
