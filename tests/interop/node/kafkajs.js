// kafka.js with default settings: node kafkajs.js PART BROKERS ARGUMENTS…
//
//   checks BROKERS PREFIX        what it wrote comes back, byte for byte
//   before BROKERS TOPIC GROUP   writes, reads a part in a group, commits, and prints what it committed by partition, as JSON
//   after BROKERS TOPIC GROUP    reads on in the group, and prints the first offset that each partition gave
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// The modules are in a folder of the cache.
const require = createRequire(process.env.NODE_MODULES_OF + "/");
const kafkajs = require("kafkajs");
const { Kafka, logLevel, CompressionTypes, CompressionCodecs } = kafkajs;
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
const lz4 = require("lz4js");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
const { ZstdCodec } = require("zstd-codec");
const zstd = await new Promise((resolve) => ZstdCodec.run((z) => resolve(new z.Simple())));
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

const [part, brokers, ...rest] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "interop", brokers: brokers.split(","), logLevel: logLevel.ERROR });
const say = (check) => console.log("ok", check);

const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };

function records(codec) {
  const large = Buffer.alloc(900_000, "abcdefg");
  const out = [
    { key: "key", value: "value " + codec, headers: { h: "1", many: ["1", "2"] } },
    { key: null, value: "no key" },
    { key: "no value", value: null },
    { key: "", value: "" },
    { key: "large", value: large },
  ];
  for (let i = 0; i < 200; i++) out.push({ key: "k" + (i % 3), value: String(i) });
  return out.map((r) => ({ ...r, partition: 0 }));
}

const text = (b) => (b === null || b === undefined ? null : b.toString("latin1"));
const headers = (h) => JSON.stringify(Object.entries(h ?? {}).map(([k, v]) => [k, [v].flat().map((x) => x.toString())]));

// consume reads with a group of its own until enough says so.
async function consume(topic, groupId, each, enough, more = {}) {
  const consumer = kafka.consumer({ groupId, ...more });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not enough records of " + topic)), 60_000);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    consumer.on(consumer.events.CRASH, (e) => reject(e.payload.error));
    consumer
      .run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          if (enough()) return;
          each(partition, message);
          if (enough()) done();
        },
      })
      .catch(reject);
    if (more.seek) consumer.seek(more.seek);
  });
  return consumer;
}

async function produceAndConsume(prefix, admin) {
  for (const [codec, compression] of Object.entries(codecs)) {
    const topic = `${prefix}-${codec}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
    const producer = kafka.producer({ idempotent: true });
    await producer.connect();
    const want = records(codec);
    let next = 0;
    for (let i = 0; i < want.length; i += 50) {
      const [ack] = await producer.send({ topic, compression, messages: want.slice(i, i + 50) });
      assert.equal(Number(ack.baseOffset), next, "acked offset");
      next += Math.min(50, want.length - i);
    }
    await producer.disconnect();
    const got = [];
    const c = await consume(topic, `${topic}-g`, (_, m) => got.push(m), () => got.length >= want.length);
    await c.disconnect();
    want.forEach((w, i) => {
      assert.equal(Number(got[i].offset), i, `${codec}, offset of record ${i}`);
      assert.equal(text(got[i].key), text(w.key && Buffer.from(w.key)) ?? (w.key === "" ? "" : null), `${codec}, key of record ${i}`);
      assert.equal(text(got[i].value), w.value === null ? null : text(Buffer.from(w.value)), `${codec}, value of record ${i}`);
      assert.equal(headers(got[i].headers), headers(w.headers), `${codec}, headers of record ${i}`);
    });
    say(`produce and consume, ${codec}`);
  }
}

async function offsetsAndTimes(prefix, admin) {
  const topic = `${prefix}-none`;
  const [end] = await admin.fetchTopicOffsets(topic);
  assert.deepEqual([end.low, end.high], ["0", "205"]);
  let first;
  const c = await consume(topic, `${prefix}-seek`, (_, m) => (first = m), () => first !== undefined, { seek: { topic, partition: 0, offset: "7" } });
  await c.disconnect();
  assert.equal(first.offset, "7", "from an offset");
  const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, Number(first.timestamp));
  assert.ok(Number(found.offset) <= 7 && Number(found.offset) >= 0, `by timestamp: ${found.offset}`);
  say("offsets and times");
}

async function groups(prefix, admin) {
  const topic = `${prefix}-group`;
  const group = `${prefix}-g`;
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: Array.from({ length: 400 }, (_, i) => ({ value: String(i), partition: i % 4 })) });
  await producer.disconnect();
  const seen = new Set();
  const shares = [0, 0];
  const members = await Promise.all(
    [0, 1].map(async (n) => {
      const m = kafka.consumer({ groupId: group });
      await m.connect();
      await m.subscribe({ topics: [topic], fromBeginning: true });
      m.on(m.events.GROUP_JOIN, (e) => (shares[n] = (e.payload.memberAssignment[topic] ?? []).length));
      await m.run({ autoCommit: false, eachMessage: async ({ message }) => seen.add(message.value.toString()) });
      return m;
    }),
  );
  const end = Date.now() + 60_000;
  while (Date.now() < end && !(seen.size === 400 && shares[0] === 2 && shares[1] === 2)) await new Promise((r) => setTimeout(r, 100));
  assert.deepEqual([seen.size, ...shares], [400, 2, 2], "two members share the partitions, and read all records");
  await members[0].commitOffsets([0, 1, 2, 3].map((partition) => ({ topic, partition, offset: "100", metadata: "note" })));
  await Promise.all(members.map((m) => m.disconnect()));
  const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  for (const p of offsets.partitions) assert.deepEqual([p.offset, p.metadata], ["100", "note"]);
  assert.equal((await admin.describeGroups([group])).groups[0].state, "Empty");
  assert.ok((await admin.listGroups()).groups.some((g) => g.groupId === group));
  await admin.deleteGroups([group]);
  assert.ok(!(await admin.listGroups()).groups.some((g) => g.groupId === group));
  say("groups");
}

async function administration(prefix, admin) {
  const topic = `${prefix}-admin`;
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries: [{ name: "retention.ms", value: "3600000" }] }] });
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
  const meta = await admin.fetchTopicMetadata({ topics: [topic] });
  assert.equal(meta.topics[0].partitions.length, 3);
  const config = await admin.describeConfigs({ resources: [{ type: 2, name: topic }], includeSynonyms: false });
  assert.equal(config.resources[0].configEntries.find((c) => c.configName === "retention.ms").configValue, "3600000");
  await admin.alterConfigs({ resources: [{ type: 2, name: topic, configEntries: [{ name: "retention.ms", value: "7200000" }] }] });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: Array.from({ length: 10 }, () => ({ value: "x", partition: 0 })) });
  await producer.disconnect();
  await admin.fetchTopicOffsets(topic); // kafka.js looks for leaders only among the topics that it has met
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "4" }] });
  const low = (await admin.fetchTopicOffsets(topic)).find((p) => p.partition === 0).low;
  assert.equal(low, "4", "the start after the deletion");
  await admin.deleteTopics({ topics: [topic] });
  assert.ok(!(await admin.listTopics()).includes(topic));
  say("administration");
}

async function checks(prefix) {
  const admin = kafka.admin();
  await admin.connect();
  await produceAndConsume(prefix, admin);
  await offsetsAndTimes(prefix, admin);
  await groups(prefix, admin);
  await administration(prefix, admin);
  await admin.disconnect();
}

async function before(topic, groupId) {
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: Array.from({ length: 900 }, (_, i) => ({ value: String(i), partition: i % 3 })) });
  await producer.disconnect();
  const next = {};
  let n = 0;
  const c = await consume(
    topic,
    groupId,
    (partition, m) => {
      next[partition] = Number(m.offset) + 1;
      n++;
    },
    () => n >= 400,
  );
  await c.commitOffsets(Object.entries(next).map(([p, o]) => ({ topic, partition: Number(p), offset: String(o) })));
  await c.disconnect();
  return next;
}

async function after(topic, groupId) {
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [0, 1, 2].map((partition) => ({ value: "after", partition })) });
  await producer.disconnect();
  const first = {};
  const c = await consume(topic, groupId, (p, m) => (first[p] ??= Number(m.offset)), () => Object.keys(first).length === 3);
  await c.disconnect();
  return first;
}

try {
  if (part === "checks") await checks(...rest);
  else console.log(JSON.stringify(await { before, after }[part](...rest)));
  process.exit(0);
} catch (e) {
  console.error(e);
  process.exit(1);
}
