import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The Java client with default settings: PART BROKERS ARGUMENTS…
 *
 * <p>checks BROKERS PREFIX: what it wrote comes back, byte for byte. before BROKERS TOPIC GROUP: writes, reads a part in a group,
 * commits, and prints what it committed by partition, as JSON. after BROKERS TOPIC GROUP: reads on in the group, and prints the first
 * offset that each partition gave.
 */
public final class Checks {
  private static final int LARGE = 900_000; // bytes of a record that a client may send with default settings
  private static final Duration WAIT = Duration.ofSeconds(60);

  private record Sent(byte[] key, byte[] value, List<String> headers) {}

  private final String brokers;
  private final long began = System.currentTimeMillis() - 60_000; // the timestamp of each topic's first record; the next is a millisecond later

  private Checks(String brokers) {
    this.brokers = brokers;
  }

  public static void main(String[] args) throws Exception {
    Checks c = new Checks(args[1]);
    switch (args[0]) {
      case "checks" -> c.checks(args[2]);
      case "before" -> print(c.before(args[2], args[3]));
      case "after" -> print(c.after(args[2], args[3]));
      default -> throw new IllegalArgumentException(args[0]);
    }
    System.exit(0);
  }

  private static void print(Map<Integer, Long> offsets) {
    List<String> out = new ArrayList<>();
    offsets.forEach((p, o) -> out.add("\"" + p + "\": " + o));
    System.out.println("{" + String.join(", ", out) + "}");
  }

  private static void say(String check) {
    System.out.println("ok " + check);
  }

  private static void same(String what, Object got, Object want) {
    if (!got.equals(want)) {
      throw new AssertionError(what + ": got " + got + ", want " + want);
    }
  }

  private static void eventually(String what, Callable<Boolean> ok) throws Exception {
    for (long end = System.nanoTime() + WAIT.toNanos(); !ok.call(); ) {
      if (System.nanoTime() > end) {
        throw new AssertionError("waited in vain for " + what);
      }
    }
  }

  private Properties config(String... more) {
    Properties p = new Properties();
    p.put("bootstrap.servers", brokers);
    p.put("key.serializer", ByteArraySerializer.class.getName());
    p.put("value.serializer", ByteArraySerializer.class.getName());
    p.put("key.deserializer", ByteArrayDeserializer.class.getName());
    p.put("value.deserializer", ByteArrayDeserializer.class.getName());
    for (int i = 0; i < more.length; i += 2) {
      p.put(more[i], more[i + 1]);
    }
    return p;
  }

  private Consumer<byte[], byte[]> consumer(String... more) {
    Properties p = config("auto.offset.reset", "earliest", "enable.auto.commit", "false");
    p.putAll(config(more));
    return new KafkaConsumer<>(p);
  }

  private void checks(String prefix) throws Exception {
    try (Admin admin = Admin.create(config())) {
      for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
        roundTrip(prefix + "-" + codec, codec, admin);
        say("produce and consume, " + codec);
      }
      offsets(prefix + "-none", admin);
      say("offsets and times");
      for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
        groups(prefix + "-" + assignor, assignor, admin);
        say("groups, " + assignor);
      }
      staticMembers(prefix + "-static", admin);
      say("static members");
      administration(prefix + "-admin", admin);
      say("administration");
    }
  }

  private static List<Sent> records(String codec) {
    byte[] big = new byte[LARGE];
    for (int i = 0; i < LARGE; i++) {
      big[i] = (byte) (i * 7 % 251);
    }
    List<Sent> out = new ArrayList<>();
    out.add(new Sent(bytes("key"), bytes("value " + codec), List.of("h=1", "h=2", "empty=")));
    out.add(new Sent(null, bytes("no key"), List.of()));
    out.add(new Sent(bytes("no value"), null, List.of()));
    out.add(new Sent(new byte[0], new byte[0], List.of()));
    out.add(new Sent(bytes("large"), big, List.of()));
    for (int i = 0; i < 200; i++) {
      out.add(new Sent(bytes("k" + i % 3), bytes("" + i), List.of()));
    }
    return out;
  }

  private static byte[] bytes(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }

  private void roundTrip(String topic, String codec, Admin admin) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
    List<Sent> want = records(codec);
    try (Producer<byte[], byte[]> producer = new KafkaProducer<>(config("compression.type", codec))) {
      List<Future<RecordMetadata>> acks = new ArrayList<>();
      for (Sent s : want) {
        ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(topic, 0, began + acks.size(), s.key, s.value);
        s.headers.forEach(h -> r.headers().add(h.substring(0, h.indexOf('=')), bytes(h.substring(h.indexOf('=') + 1))));
        acks.add(producer.send(r));
      }
      for (int i = 0; i < want.size(); i++) {
        same("acked offset", acks.get(i).get().offset(), (long) i);
      }
    }
    try (Consumer<byte[], byte[]> c = consumer()) {
      c.assign(List.of(new TopicPartition(topic, 0)));
      c.seekToBeginning(c.assignment());
      List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
      eventually("all records", () -> {
        c.poll(Duration.ofMillis(200)).forEach(got::add);
        return got.size() >= want.size();
      });
      c.poll(Duration.ofMillis(200)).forEach(got::add);
      same(codec + ", records", got.size(), want.size());
      for (int i = 0; i < want.size(); i++) {
        ConsumerRecord<byte[], byte[]> r = got.get(i);
        List<String> headers = new ArrayList<>();
        r.headers().forEach(h -> headers.add(h.key() + "=" + new String(h.value(), StandardCharsets.UTF_8)));
        same(codec + ", offset", r.offset(), (long) i);
        same(codec + ", timestamp of record " + i, r.timestamp(), began + i);
        same(codec + ", leader epoch of record " + i, r.leaderEpoch().isPresent(), true);
        same(codec + ", key of record " + i, Arrays.equals(r.key(), want.get(i).key), true);
        same(codec + ", value of record " + i, Arrays.equals(r.value(), want.get(i).value), true);
        same(codec + ", headers of record " + i, headers, want.get(i).headers);
      }
    }
  }

  private void offsets(String topic, Admin admin) throws Exception {
    TopicPartition tp = new TopicPartition(topic, 0);
    try (Consumer<byte[], byte[]> c = consumer()) {
      c.assign(List.of(tp));
      long end = c.endOffsets(List.of(tp)).get(tp);
      same("beginning", c.beginningOffsets(List.of(tp)).get(tp), 0L);
      c.seek(tp, 7);
      List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
      eventually("a record", () -> {
        c.poll(Duration.ofMillis(200)).forEach(got::add);
        return !got.isEmpty();
      });
      same("from an offset", got.get(0).offset(), 7L);
      OffsetAndTimestamp at = c.offsetsForTimes(Map.of(tp, got.get(0).timestamp())).get(tp);
      same("by time", List.of(at.offset(), at.timestamp()), List.of(7L, began + 7));
      same("by a time to come", Optional.ofNullable(c.offsetsForTimes(Map.of(tp, System.currentTimeMillis() + 3_600_000)).get(tp)), Optional.empty());
      Map<OffsetSpec, Long> specs = new HashMap<>();
      specs.put(OffsetSpec.earliest(), 0L);
      specs.put(OffsetSpec.latest(), end);
      specs.put(OffsetSpec.earliestLocal(), 0L);
      specs.put(OffsetSpec.latestTiered(), -1L);
      specs.put(OffsetSpec.forTimestamp(0), 0L);
      specs.put(OffsetSpec.forTimestamp(began + 100), 100L);
      specs.put(OffsetSpec.maxTimestamp(), end - 1);
      for (Map.Entry<OffsetSpec, Long> s : specs.entrySet()) {
        same("list offsets, " + s.getKey().getClass().getSimpleName(), admin.listOffsets(Map.of(tp, s.getKey())).partitionResult(tp).get().offset(), s.getValue());
      }
    }
  }

  private void fill(String topic, int records, int partitions) throws Exception {
    try (Producer<byte[], byte[]> producer = new KafkaProducer<>(config())) {
      List<Future<RecordMetadata>> acks = new ArrayList<>();
      for (int i = 0; i < records; i++) {
        acks.add(producer.send(new ProducerRecord<>(topic, i % partitions, null, bytes("" + i))));
      }
      for (Future<RecordMetadata> a : acks) {
        a.get();
      }
    }
  }

  private void groups(String topic, String assignor, Admin admin) throws Exception {
    String group = topic + "-g";
    admin.createTopics(List.of(new NewTopic(topic, 4, (short) 1))).all().get();
    fill(topic, 400, 4);
    Set<String> seen = new HashSet<>();
    String strategy = "org.apache.kafka.clients.consumer." + assignor;
    try (Consumer<byte[], byte[]> one = consumer("group.id", group, "partition.assignment.strategy", strategy);
        Consumer<byte[], byte[]> two = consumer("group.id", group, "partition.assignment.strategy", strategy)) {
      List<Consumer<byte[], byte[]>> members = List.of(one, two);
      members.forEach(m -> m.subscribe(List.of(topic)));
      eventually("two members that share the partitions", () -> {
        for (Consumer<byte[], byte[]> m : members) {
          m.poll(Duration.ofMillis(100)).forEach(r -> seen.add(new String(r.value(), StandardCharsets.UTF_8)));
        }
        return seen.size() == 400 && members.stream().allMatch(m -> m.assignment().size() == 2);
      });
      for (Consumer<byte[], byte[]> m : members) {
        Map<TopicPartition, OffsetAndMetadata> at = new HashMap<>();
        m.assignment().forEach(tp -> at.put(tp, new OffsetAndMetadata(100, Optional.of(0), "note")));
        m.commitSync(at);
      }
      same("members", admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get().members().size(), 2);
    }
    Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    same("committed partitions", committed.size(), 4);
    for (OffsetAndMetadata o : committed.values()) {
      same("committed", List.of(o.offset(), o.metadata(), o.leaderEpoch().get()), List.of(100L, "note", 0));
    }
    same("state", admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get().groupState().toString(), "Empty");
    same("listed as empty", listed(admin, group, org.apache.kafka.common.GroupState.EMPTY), true);
    same("listed as stable", listed(admin, group, org.apache.kafka.common.GroupState.STABLE), false);
    TopicPartition first = new TopicPartition(topic, 0);
    admin.deleteConsumerGroupOffsets(group, Set.of(first)).all().get();
    same("partitions left", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().containsKey(first), false);
    admin.deleteConsumerGroups(List.of(group)).all().get();
    same("listed after the deletion", listed(admin, group, org.apache.kafka.common.GroupState.EMPTY), false);
  }

  private static boolean listed(Admin admin, String group, org.apache.kafka.common.GroupState state) throws Exception {
    return admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(state))).all().get().stream().anyMatch(g -> g.groupId().equals(group));
  }

  /** KIP-345: a static member that comes back keeps its partitions without a rebalance, and the one that it replaces is fenced. */
  private void staticMembers(String topic, Admin admin) throws Exception {
    String group = topic + "-g";
    admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get();
    fill(topic, 20, 2);
    String[] member = {"group.id", group, "group.instance.id", "one"};
    try (Consumer<byte[], byte[]> old = consumer(member)) {
      old.subscribe(List.of(topic));
      eventually("an assignment", () -> {
        old.poll(Duration.ofMillis(100));
        return old.assignment().size() == 2;
      });
      // By name: commitSync() sends nothing as long as the consumer has no position, so nothing could be fenced.
      TopicPartition first = new TopicPartition(topic, 0);
      old.commitSync(Map.of(first, new OffsetAndMetadata(1)));
      int generation = old.groupMetadata().generationId();
      try (Consumer<byte[], byte[]> again = consumer(member)) {
        again.subscribe(List.of(topic));
        eventually("the same assignment", () -> {
          again.poll(Duration.ofMillis(100));
          return again.assignment().size() == 2;
        });
        same("generation", again.groupMetadata().generationId(), generation);
        try {
          old.commitSync(Map.of(first, new OffsetAndMetadata(2)));
          throw new AssertionError("the member that was replaced committed");
        } catch (FencedInstanceIdException expected) {
          // as it should be
        }
        same("committed", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first).offset(), 1L);
      }
    }
    admin.removeMembersFromConsumerGroup(group, new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions()).all().get();
    admin.deleteConsumerGroups(List.of(group)).all().get();
  }

  private void administration(String topic, Admin admin) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "3600000")))).all().get();
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
    Uuid id = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
    // Another agent than the one that created the partition may answer, a moment behind, as in Kafka.
    eventually("three partitions, by id", () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).partitions().size() == 3);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    same("retention.ms", retention(admin, resource), "3600000");
    Collection<AlterConfigOp> ops = List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET));
    admin.incrementalAlterConfigs(Map.of(resource, ops)).all().get();
    eventually("the changed retention.ms", () -> retention(admin, resource).equals("7200000"));
    fill(topic, 30, 3);
    TopicPartition tp = new TopicPartition(topic, 0);
    same("low watermark", admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(tp).get().lowWatermark(), 4L);
    try (Consumer<byte[], byte[]> c = consumer()) {
      c.assign(List.of(tp));
      c.seek(tp, 1); // deleted: OFFSET_OUT_OF_RANGE, and auto.offset.reset leads to the start
      List<Long> got = new ArrayList<>();
      eventually("the records left", () -> {
        c.poll(Duration.ofMillis(200)).forEach(r -> got.add(r.offset()));
        return got.size() >= 6;
      });
      same("what is left", got, List.of(4L, 5L, 6L, 7L, 8L, 9L));
    }
    same("start", admin.listOffsets(Map.of(tp, OffsetSpec.earliest())).partitionResult(tp).get().offset(), 4L);
    same("producers", admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers().size(), 1);
    long size = 0;
    List<Integer> nodes = new ArrayList<>();
    admin.describeCluster().nodes().get().stream().sorted(Comparator.comparing(n -> n.id())).forEach(n -> nodes.add(n.id()));
    for (var dirs : admin.describeLogDirs(nodes).allDescriptions().get().values()) {
      for (var dir : dirs.values()) {
        size += dir.replicaInfos().entrySet().stream().filter(e -> e.getKey().topic().equals(topic)).mapToLong(e -> e.getValue().size()).sum();
      }
    }
    same("a size", size > 0, true);
    try {
      admin.electLeaders(ElectionType.PREFERRED, Set.of(tp)).partitions().get().get(tp).ifPresent(e -> {
        same("election", e instanceof ElectionNotNeededException, true);
      });
    } catch (java.util.concurrent.ExecutionException e) {
      same("election", e.getCause() instanceof ElectionNotNeededException, true);
    }
    same("reassignments", admin.listPartitionReassignments().reassignments().get().size(), 0);
    same("config resources", admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get().contains(resource), true);
    admin.deleteTopics(List.of(topic)).all().get();
    try {
      admin.describeTopics(List.of(topic)).allTopicNames().get();
      throw new AssertionError("the deleted topic is described");
    } catch (java.util.concurrent.ExecutionException e) {
      same("a deleted topic", e.getCause() instanceof UnknownTopicOrPartitionException, true);
    }
  }

  private static String retention(Admin admin, ConfigResource resource) throws Exception {
    Config c = admin.describeConfigs(List.of(resource)).all().get().get(resource);
    return c.get("retention.ms").value();
  }

  private Map<Integer, Long> before(String topic, String group) throws Exception {
    fill(topic, 900, 3);
    Map<Integer, Long> out = new TreeMap<>();
    try (Consumer<byte[], byte[]> c = consumer("group.id", group, "max.poll.records", "50")) {
      c.subscribe(List.of(topic));
      int[] n = {0};
      eventually("some records", () -> (n[0] += c.poll(Duration.ofMillis(200)).count()) >= 400);
      c.commitSync();
      c.committed(c.assignment()).forEach((tp, o) -> out.put(tp.partition(), o == null ? 0 : o.offset()));
    }
    return out;
  }

  private Map<Integer, Long> after(String topic, String group) throws Exception {
    fill(topic, 3, 3);
    Map<Integer, Long> out = new TreeMap<>();
    try (Consumer<byte[], byte[]> c = consumer("group.id", group)) {
      c.subscribe(List.of(topic));
      eventually("a record of each partition", () -> {
        c.poll(Duration.ofMillis(200)).forEach(r -> out.putIfAbsent(r.partition(), r.offset()));
        return out.size() == 3;
      });
    }
    return out;
  }
}
