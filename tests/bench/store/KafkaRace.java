// SPDX-License-Identifier: Apache-2.0
// KafkaRace BOOTSTRAP: for each line "TOPIC BYTES WRITERS SECONDS" of standard input, that many threads send a record, wait for its
// acknowledgement (acks=all), and so on; they share a producer, which puts what waits into one request. Prints "RECORDS-PER-SECOND P50 P99 P99.9"
// with latencies in microseconds.
import java.util.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class KafkaRace {
    static void send(KafkaProducer<byte[], byte[]> to, String topic, byte[] value, long until, List<Long> times) {
        try {
            for (long began = System.nanoTime(), now; began < until; began = now) {
                to.send(new ProducerRecord<>(topic, value)).get();
                now = System.nanoTime();
                times.add(now - began);
            }
        } catch (Exception e) {
            throw new RuntimeException(e);
        }
    }

    static String race(KafkaProducer<byte[], byte[]> to, String topic, int bytes, int writers, double seconds) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        List<List<Long>> times = new ArrayList<>();
        long began = System.nanoTime(), until = began + (long) (seconds * 1e9);
        for (int i = 0; i < writers; i++) {
            List<Long> mine = new ArrayList<>();
            times.add(mine);
            threads.add(new Thread(() -> send(to, topic, new byte[bytes], until, mine)));
        }
        for (Thread t : threads) t.start();
        for (Thread t : threads) t.join();
        double took = (System.nanoTime() - began) / 1e9;
        long[] all = times.stream().flatMap(List::stream).mapToLong(x -> x).sorted().toArray();
        StringBuilder out = new StringBuilder(String.format(Locale.ROOT, "%.0f", all.length / took));
        for (double q : new double[] {0.5, 0.99, 0.999}) out.append(' ').append(all[(int) (q * (all.length - 1))] / 1000);
        return out.toString();
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("acks", "all");
        p.put("linger.ms", "0");
        try (var producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer()); var in = new Scanner(System.in)) {
            while (in.hasNextLine()) {
                String[] w = in.nextLine().split(" ");
                System.out.println(race(producer, w[0], Integer.parseInt(w[1]), Integer.parseInt(w[2]), Double.parseDouble(w[3])));
            }
        }
    }
}
