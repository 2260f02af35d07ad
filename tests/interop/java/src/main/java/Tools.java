import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's own tools, as bin/kafka-*.sh run them, all in one JVM: BROKERS PREFIX. What each prints must match a pattern, and its exit
 * code must be 0.
 */
public final class Tools {
  /** Thrown where a tool would end the JVM. A tool may catch it, and end again with another status: the first one counts. */
  private static final class Ended extends RuntimeException {}

  private static volatile Integer status;

  private static void end(int code) {
    if (status == null) {
      status = code;
    }
    throw new Ended();
  }

  private static final PrintStream OUT = System.out;
  private static final String TOOLS = "org.apache.kafka.tools.";

  private final String brokers;

  private Tools(String brokers) {
    this.brokers = brokers;
  }

  public static void main(String[] args) throws Exception {
    Exit.setExitProcedure((code, message) -> end(code));
    Exit.setHaltProcedure((code, message) -> end(code));
    new Tools(args[0]).run(args[1]);
    OUT.flush();
    Runtime.getRuntime().halt(0); // tools have left shutdown hooks and threads behind
  }

  private void run(String p) throws Exception {
    String topic = p + "-tools";
    String group = topic + "-g";
    tool("TopicCommand", "Created topic " + topic, "--create", "--topic", topic, "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=3600000");
    tool("TopicCommand", "(?m)^" + topic + "$", "--list");
    tool("TopicCommand", "PartitionCount: 3\\s+ReplicationFactor: 1\\s+Configs: .*retention.ms=3600000", "--describe", "--topic", topic);
    tool("TopicCommand", "", "--alter", "--topic", topic, "--partitions", "4");
    tool("TopicCommand", "Partition: 3\\s+Leader: \\d+", "--describe", "--topic", topic);

    configs("Completed updating config for topic " + topic, "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "max.message.bytes=2000000");
    configs("max.message.bytes=2000000 .*DYNAMIC_TOPIC_CONFIG", "--describe", "--entity-type", "topics", "--entity-name", topic);
    configs("Completed", "--alter", "--entity-type", "topics", "--entity-name", topic, "--delete-config", "max.message.bytes");
    configs("(?s)^(?!.*max.message.bytes=2000000).*retention.ms=3600000", "--describe", "--entity-type", "topics", "--entity-name", topic);

    System.setIn(new ByteArrayInputStream("a:1\nb:2\nc:3\n".getBytes(StandardCharsets.UTF_8)));
    tool("ConsoleProducer", "", "--topic", topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:");
    tool("consumer.ConsoleConsumer", "(?s)(?=.*a:1)(?=.*b:2)(?=.*c:3)", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "3",
        "--timeout-ms", "30000", "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:");

    tool("consumer.group.ConsumerGroupCommand", "(?m)^" + group + "$", "--list");
    tool("consumer.group.ConsumerGroupCommand", group + "\\s+" + topic + "\\s+\\d+\\s+\\d+\\s+\\d+\\s+0", "--describe", "--group", group);
    tool("consumer.group.ConsumerGroupCommand", "Empty", "--describe", "--group", group, "--state");
    tool("consumer.group.ConsumerGroupCommand", "has no active members", "--describe", "--group", group, "--members");
    tool("consumer.group.ConsumerGroupCommand", group + "\\s+Empty", "--list", "--state", "Empty");
    tool("consumer.group.ConsumerGroupCommand", topic + "\\s+0\\s+0", "--reset-offsets", "--to-earliest", "--group", group, "--topic", topic, "--execute");
    tool("consumer.group.ConsumerGroupCommand", topic + "\\s+0\\s+1", "--reset-offsets", "--to-offset", "1", "--group", group, "--topic", topic + ":0", "--execute");
    tool("consumer.group.ConsumerGroupCommand", topic + "\\s+0\\s+0", "--reset-offsets", "--shift-by", "-1", "--group", group, "--topic", topic + ":0", "--execute");
    tool("consumer.group.ConsumerGroupCommand", topic + ",0,0", "--reset-offsets", "--by-duration", "PT1H", "--group", group, "--topic", topic, "--export", "--dry-run");
    tool("consumer.group.ConsumerGroupCommand", group + "\\s+" + topic + "\\s+0\\s+0\\s", "--describe", "--all-groups", "--offsets");
    tool("GroupsCommand", group + "\\s+Classic\\s+consumer", "--list");
    tool("consumer.group.ConsumerGroupCommand", topic + "\\s+3\\s+Successful", "--delete-offsets", "--group", group, "--topic", topic + ":3");
    tool("consumer.group.ConsumerGroupCommand", "was successful", "--delete", "--group", group);

    apart("VerifiableProducer", "\"name\":\"tool_data\".*\"acked\":500", "--bootstrap-server", brokers, "--topic", topic, "--max-messages", "500");
    apart("VerifiableConsumer", "(?s)records_consumed.*shutdown_complete", "--bootstrap-server", brokers, "--topic", topic, "--group-id", group + "v", "--max-messages", "400", "--reset-policy", "earliest");
    tool("ProducerPerformance", "5000 records sent", "--topic", topic, "--num-records", "5000", "--record-size", "1000", "--throughput", "-1",
        "--producer-props", "bootstrap.servers=" + brokers);
    tool("ConsumerPerformance", "(?s)fetch.nMsg.sec.*\\d", "--topic", topic, "--messages", "4000");
    tool("GetOffsetShell", "(?m)^" + topic + ":0:[1-9]\\d*$", "--topic", topic);
    tool("GetOffsetShell", "(?m)^" + topic + ":0:0$", "--topic", topic, "--time", "earliest");
    tool("GetOffsetShell", "(?m)^" + topic + ":\\d:\\d+$", "--topic", topic, "--time", "max-timestamp");

    Path file = Files.createTempFile("delete", ".json");
    Files.writeString(file, "{\"partitions\": [{\"topic\": \"" + topic + "\", \"partition\": 0, \"offset\": 2}], \"version\": 1}");
    tool("DeleteRecordsCommand", topic + "-0\\s+low_watermark: 2", "--offset-json-file", file.toString());
    Files.delete(file);
    tool("GetOffsetShell", "(?m)^" + topic + ":0:2$", "--topic", topic, "--time", "earliest");

    tool("ClusterTool", "Cluster ID: \\S{22}", "cluster-id");
    tool("ClusterTool", "(?m)^1\\s.*unfenced\\s+broker", "list-endpoints");
    tool("LeaderElectionCommand", "^\\s*$", "--election-type", "preferred", "--all-topic-partitions");
    tool("reassign.ReassignPartitionsCommand", "No partition reassignments found", "--list");
    tool("TransactionsCommand", "(?s)ProducerId.*\\n\\d+\\s", "describe-producers", "--topic", topic, "--partition", "0");
    tool("TopicCommand", "(?s)^(?!.*Topic:)", "--describe", "--unavailable-partitions");
    configs("message.max.bytes=\\d+", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all");
    tool("BrokerApiVersionsCommand", "(?s)Produce\\(0\\): 0 to 13.*DescribeTopicPartitions\\(75\\): 0");
    // Any of the agents may lead the partition; its directory stands behind it.
    tool("LogDirsCommand", "(?s)" + topic + "-0\",\"size\":[1-9].*\"logDir\":\"bucket\"", "--describe", "--topic-list", topic);
    tool("TopicCommand", "", "--delete", "--topic", topic);
    tool("TopicCommand", "(?s)^(?!.*(?m:^" + topic + "$)).*", "--list");
  }

  /** Runs a tool that says what it did only when its JVM ends in a JVM of its own. */
  private static void apart(String name, String want, String... args) throws Exception {
    List<String> all = new ArrayList<>(List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp", System.getProperty("java.class.path"), TOOLS + name));
    all.addAll(List.of(args));
    Process p = new ProcessBuilder(all).redirectErrorStream(true).start();
    String text = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    judge(name + " " + String.join(" ", args), p.waitFor(), "", want, text);
  }

  private static void judge(String command, int code, String died, String want, String text) {
    if (code != 0 || !Pattern.compile(want).matcher(text).find()) {
      OUT.println(command + ": exit code " + code + " " + died + ", want " + want + ", printed:\n" + text);
      OUT.flush();
      Runtime.getRuntime().halt(1);
    }
    OUT.println("ok " + command);
  }

  private void configs(String want, String... args) throws Exception {
    start("kafka.admin.ConfigCommand", want, "--bootstrap-server", args);
  }

  private void tool(String name, String want, String... args) throws Exception {
    start(TOOLS + name, want, name.equals("ProducerPerformance") ? null : "--bootstrap-server", args);
  }

  private void start(String name, String want, String server, String... args) throws Exception {
    List<String> all = new ArrayList<>();
    all.addAll(List.of(args));
    if (server != null) { // behind the arguments, as the first may be a subcommand; an address may stand before it in TransactionsCommand only
      int at = name.endsWith("TransactionsCommand") ? 0 : all.size();
      all.addAll(at, List.of(server, brokers));
    }
    ByteArrayOutputStream caught = new ByteArrayOutputStream();
    PrintStream both = new PrintStream(caught, true, StandardCharsets.UTF_8);
    PrintStream err = System.err;
    System.setOut(both);
    System.setErr(both);
    status = null;
    String died = "";
    try {
      Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) all.toArray(new String[0]));
    } catch (InvocationTargetException e) {
      if (!(e.getCause() instanceof Ended)) {
        status = 1;
        died = String.valueOf(e.getCause());
      }
    } finally {
      System.setOut(OUT);
      System.setErr(err);
    }
    String text = caught.toString(StandardCharsets.UTF_8);
    String command = name.substring(name.lastIndexOf('.') + 1) + " " + String.join(" ", args);
    judge(command, status == null ? 0 : status, died, want, text);
  }
}
