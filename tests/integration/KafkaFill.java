// SPDX-License-Identifier: Apache-2.0
// KafkaFill BOOTSTRAP first|second: gives a broker of Apache Kafka what its files have a form for, by its own client. The second run is for
// after a restart. The same but for times and ids.
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

public class KafkaFill {
    static String bootstrap;

    static Properties settings(String... pairs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) p.put(pairs[i], pairs[i + 1]);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] bytes(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    // Tombstones, keys that are null, values and headers that are no text, names of headers that come twice, headers that are null.
    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int i) {
        long time = 1700000000000L + i * 10L - i % 5 * 25;
        byte[] key = i % 5 == 4 && !topic.equals("compacted") ? null : bytes("key-" + i % 60);
        byte[] value = i % 9 == 8 ? null : i % 11 == 10 ? new byte[] {(byte) 0xff, (byte) 0xfe, 0, (byte) (i | 0x80)} : bytes("value " + i + " ä€ " + "x".repeat(i % 400));
        ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(topic, partition, time, key, value);
        if (i % 3 == 0) r.headers().add("trace", bytes("t" + i)).add("trace", new byte[] {(byte) 0x80}).add("none", null);
        return r;
    }

    static void fill(KafkaProducer<byte[], byte[]> to, String topic, int partition, int first, int count) {
        for (int i = first; i < first + count; i++) {
            to.send(record(topic, partition, i));
            if (i % 40 == 39) to.flush();
        }
        to.flush();
    }

    static void plain(int first) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (var idempotent = producer("compression.type", codec); var plain = producer("compression.type", codec, "enable.idempotence", "false", "acks", "1")) {
                fill(idempotent, "plain", 0, first, 400);
                fill(plain, "plain", 1, first, 400);
                fill(plain, "stamped", 0, first, 100);
            }
        }
        Random random = new Random(first);
        byte[] noise = new byte[60000];
        try (var large = producer()) { // more than two segments
            for (int i = 0; i < 40; i++) {
                for (int j = 0; j < noise.length; j++) noise[j] = (byte) ('a' + random.nextInt(26));
                large.send(new ProducerRecord<>("plain", 1, bytes("large"), noise.clone()));
            }
        }
    }

    // Two at a time, in two partitions each; a third of them is aborted. One is left open.
    static void transactions(int first) {
        try (var one = producer("transactional.id", "one", "compression.type", "zstd"); var two = producer("transactional.id", "two")) {
            one.initTransactions();
            two.initTransactions();
            for (int i = 0; i < 12; i++) {
                one.beginTransaction();
                two.beginTransaction();
                for (int part = 0; part < 2; part++) {
                    fill(one, "transactions", part, first + i * 50, 50);
                    fill(two, "transactions", part, first + i * 20, 20);
                }
                var group = new ConsumerGroupMetadata("in-transactions", -1, "", Optional.empty());
                two.sendOffsetsToTransaction(Map.of(new TopicPartition("plain", 0), new OffsetAndMetadata(i)), group);
                if (i % 3 == 0) one.abortTransaction(); else one.commitTransaction();
                if (i % 3 == 1) two.abortTransaction(); else two.commitTransaction();
            }
        }
        var open = producer("transactional.id", "open");
        open.initTransactions();
        open.beginTransaction();
        fill(open, "transactions", 1, 0, 10);
    }

    static void consume(String group, String protocol) {
        Properties p = settings("group.id", group, "group.protocol", protocol, "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("plain", "transactions"));
            for (int got = 0; got < 1500; consumer.commitSync()) got += consumer.poll(Duration.ofMillis(500)).count();
        }
    }

    static void compacted(int first) throws InterruptedException {
        try (var plain = producer("compression.type", "lz4"); var txn = producer("transactional.id", "compact-" + first)) {
            fill(plain, "compacted", 0, first, 600);
            txn.initTransactions();
            for (int i = 0; i < 4; i++) {
                txn.beginTransaction();
                fill(txn, "compacted", 0, first + i * 7, 30);
                if (i % 2 == 0) txn.commitTransaction(); else txn.abortTransaction();
            }
            for (int i = 0; i < 3; i++) {
                Thread.sleep(120); // longer than segment.ms: the next record begins a segment
                fill(plain, "compacted", 0, first + i * 5, 5);
            }
        }
    }

    static NewTopic topic(String name, int partitions, Map<String, String> settings) { return new NewTopic(name, partitions, (short) 1).configs(settings); }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        int first = args[1].equals("first") ? 0 : 5000;
        try (Admin admin = Admin.create(settings())) {
            if (first == 0) admin.createTopics(List.of(
                topic("plain", 2, Map.of("segment.bytes", "1048576")), topic("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime")),
                topic("transactions", 2, Map.of("segment.ms", "300")),
                topic("compacted", 1, Map.of("cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01")))).all().get();
            plain(first);
            transactions(first);
            consume("classic", "classic");
            consume("modern", "consumer");
            compacted(first);
            if (first > 0) admin.deleteConsumerGroups(List.of("classic")).all().get();
            admin.deleteRecords(Map.of(new TopicPartition("plain", 0), RecordsToDelete.beforeOffset(30))).all().get();
        }
        Runtime.getRuntime().halt(0); // nobody closes the open transaction
    }
}
