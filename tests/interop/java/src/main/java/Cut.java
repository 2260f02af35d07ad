import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.LogTruncationException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A reader that was beyond the cut of a failover (KIP-320), in partition 0 of a topic.
 *
 * <p>read BROKERS TOPIC RECORDS: reads so many, and prints the position behind them and its leader epoch, as JSON. beyond BROKERS TOPIC
 * POSITION EPOCH CUT: goes on from there at the region that took over, which must lead to the cut.
 */
public final class Cut {
  private static final Duration WAIT = Duration.ofSeconds(60);

  private final String brokers;
  private final TopicPartition partition;

  private Cut(String brokers, String topic) {
    this.brokers = brokers;
    this.partition = new TopicPartition(topic, 0);
  }

  public static void main(String[] args) {
    Cut c = new Cut(args[1], args[2]);
    switch (args[0]) {
      case "read" -> c.read(Integer.parseInt(args[3]));
      case "beyond" -> c.beyond(new OffsetAndMetadata(Long.parseLong(args[3]), Optional.of(Integer.parseInt(args[4])), ""), Long.parseLong(args[5]));
      default -> throw new IllegalArgumentException(args[0]);
    }
    System.exit(0);
  }

  private Consumer<byte[], byte[]> consumer(String reset) {
    Properties p = new Properties();
    p.put("bootstrap.servers", brokers);
    p.put("key.deserializer", ByteArrayDeserializer.class.getName());
    p.put("value.deserializer", ByteArrayDeserializer.class.getName());
    p.put("auto.offset.reset", reset);
    Consumer<byte[], byte[]> c = new KafkaConsumer<>(p);
    c.assign(List.of(partition));
    return c;
  }

  /** Polls until so many records came, or throws what poll throws. */
  private static List<ConsumerRecord<byte[], byte[]>> poll(Consumer<byte[], byte[]> c, int records) {
    List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
    for (long end = System.nanoTime() + WAIT.toNanos(); got.size() < records; ) {
      if (System.nanoTime() > end) {
        throw new AssertionError("waited in vain for " + records + " records, got " + got.size());
      }
      c.poll(Duration.ofMillis(200)).forEach(got::add);
    }
    return got;
  }

  private void read(int records) {
    try (Consumer<byte[], byte[]> c = consumer("earliest")) {
      List<ConsumerRecord<byte[], byte[]>> got = poll(c, records);
      ConsumerRecord<byte[], byte[]> last = got.get(got.size() - 1);
      System.out.println("{\"position\": " + c.position(partition) + ", \"epoch\": " + last.leaderEpoch().get() + "}");
    }
  }

  private void beyond(OffsetAndMetadata position, long cut) {
    for (String reset : List.of("earliest", "latest")) {
      try (Consumer<byte[], byte[]> c = consumer(reset)) {
        c.seek(partition, position);
        long first = poll(c, 1).get(0).offset();
        if (first != cut) {
          throw new AssertionError("with auto.offset.reset " + reset + " it goes on at " + first + ", the cut is at " + cut);
        }
        System.out.println("ok " + reset);
      }
    }
    try (Consumer<byte[], byte[]> c = consumer("none")) {
      c.seek(partition, position);
      ConsumerRecord<byte[], byte[]> got = poll(c, 1).get(0);
      throw new AssertionError("without auto.offset.reset it goes on at " + got.offset());
    } catch (LogTruncationException e) {
      long divergent = e.divergentOffsets().get(partition).offset();
      if (divergent != cut) {
        throw new AssertionError("the log is said to be truncated at " + divergent + ", the cut is at " + cut);
      }
      System.out.println("ok none");
    }
  }
}
