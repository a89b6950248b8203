#!/usr/bin/env bash
# Prints a folder with Apache Kafka's jars, fetching them by Maven the first time. For tests that hold our files and wire against Kafka's.
# Exit 77 when Java or Maven is missing or the fetch fails. KAFKA_VERSION chooses another release.
set -uo pipefail
# shellcheck source=scripts/lib/fetch-once.sh
. "$(dirname "$0")/fetch-once.sh"
version=${KAFKA_VERSION:-4.3.0}
dir=${XDG_CACHE_HOME:-$HOME/.cache}/connectd/kafka-$version

fetch() {
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>connectd.tests</groupId><artifactId>kafka-jars</artifactId><version>1</version><dependencies>'
        for artifact in kafka_2.13 kafka-tools; do
            echo "<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } >pom.xml
    timeout 600 mvn -q -B dependency:copy-dependencies -DoutputDirectory=. -DincludeScope=runtime
}

fetch_once "$dir" "Apache Kafka $version" fetch
echo "$dir"
