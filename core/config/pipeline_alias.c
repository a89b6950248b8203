// SPDX-License-Identifier: Apache-2.0
// Class names of Kafka Connect, Debezium and friends, and what they are called here.
#include <string.h>

#include "base/mem.h"
#include "config/pipeline.h"

static const struct {
    const char *class_name, *name;
    int source; // 1 source, 0 sink, -1 neither
} classes[] = {
    {"io.debezium.connector.postgresql.PostgresConnector", "postgres-cdc", 1},
    {"PostgresConnector", "postgres-cdc", 1},
    {"org.apache.kafka.connect.file.FileStreamSourceConnector", "file", 1},
    {"FileStreamSourceConnector", "file", 1},
    {"FileStreamSource", "file", 1},
    {"org.apache.kafka.connect.file.FileStreamSinkConnector", "file", 0},
    {"FileStreamSinkConnector", "file", 0},
    {"FileStreamSink", "file", 0},
    {"io.aiven.kafka.connect.http.HttpSinkConnector", "http-sink", 0},
    {"io.confluent.connect.http.HttpSinkConnector", "http-sink", 0},
    {"HttpSinkConnector", "http-sink", 0},
    {"HttpSink", "http-sink", 0},
    {"io.confluent.connect.syslog.SyslogSourceConnector", "syslog", 1},
    {"SyslogSourceConnector", "syslog", 1},
    {"SyslogSource", "syslog", 1},
    {"org.apache.kafka.connect.json.JsonConverter", "json", -1},
    {"JsonConverter", "json", -1},
    {"org.apache.kafka.connect.storage.StringConverter", "string", -1},
    {"StringConverter", "string", -1},
    {"org.apache.kafka.connect.converters.ByteArrayConverter", "bytes", -1},
    {"ByteArrayConverter", "bytes", -1},
    {"io.debezium.converters.BinaryDataConverter", "bytes", -1},
    {"io.confluent.connect.avro.AvroConverter", "avro", -1},
    {"AvroConverter", "avro", -1},
};

// Packages whose classes keep their simple name here, with `$Key` or `$Value`.
static const char *const packages[] = {
    "org.apache.kafka.connect.transforms.predicates.",
    "org.apache.kafka.connect.transforms.",
    "io.debezium.transforms.outbox.",
    "io.debezium.transforms.predicates.",
    "io.debezium.transforms.",
};

const char *pipeline_class_alias(const char *class_name, int *ret_source) {
    if (ret_source) *ret_source = -1;
    for (size_t i = 0; i < countof(classes); i++) {
        if (strcmp(classes[i].class_name, class_name)) continue;
        if (ret_source) *ret_source = classes[i].source;
        return classes[i].name;
    }
    for (size_t i = 0; i < countof(packages); i++) {
        size_t n = strlen(packages[i]);
        if (!strncmp(class_name, packages[i], n) && class_name[n] && !strchr(class_name + n, '.')) return class_name + n;
    }
    return class_name;
}
