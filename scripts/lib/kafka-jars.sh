#!/usr/bin/env bash
# Prints a folder with Apache Kafka's jars, fetching them by Maven the first time. For tests that hold our files and wire against Kafka's.
# Exit 77 when Java or Maven is missing or the fetch fails. KAFKA_VERSION chooses another release.
set -uo pipefail
version=${KAFKA_VERSION:-4.3.0}
dir=${XDG_CACHE_HOME:-$HOME/.cache}/connectd/kafka-$version
skip() { echo "SKIPPED: $*" >&2; exit 77; }
[ -f "$dir/complete" ] && { echo "$dir"; exit 0; }
command -v java >/dev/null || skip 'no java'
command -v mvn >/dev/null || skip 'no mvn'
mkdir -p "$dir" || skip "can not write $dir"
exec 9>"$dir/lock"
flock 9 # two tests at once fetch once
[ -f "$dir/complete" ] && { echo "$dir"; exit 0; }
{
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>connectd.tests</groupId><artifactId>kafka-jars</artifactId><version>1</version><dependencies>'
    for artifact in kafka_2.13 kafka-tools; do
        echo "<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done
    echo '</dependencies></project>'
} >"$dir/pom.xml"
timeout 600 mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir" -DincludeScope=runtime >"$dir/fetch.log" 2>&1 ||
    skip "Apache Kafka $version could not be fetched: $(tail -1 "$dir/fetch.log")"
touch "$dir/complete"
echo "$dir"
