"""confluent-kafka (librdkafka) with default settings: python confluent.py PART BROKERS ARGUMENTS… (see checks.main)."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from checks import CODECS, main, records, same, say


def wait(futures):
    for f in futures.values():
        f.result(20)


def producer(brokers, **more):
    return Producer({"bootstrap.servers": brokers, "enable.idempotence": True, **{k.replace("_", "."): v for k, v in more.items()}})


def consumer(brokers, group="none", **more):
    return Consumer({
        "bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        **{k.replace("_", "."): v for k, v in more.items()},
    })


def poll(c, want, timeout=30):
    """Polls until there are want records."""
    out, end = [], time.time() + timeout
    while len(out) < want and time.time() < end:
        m = c.poll(0.5)
        if m is None:
            continue
        if m.error():
            raise AssertionError(m.error())
        out.append(m)
    same("number of records", len(out), want)
    return out


def produce_and_consume(brokers, prefix, admin):
    for codec in CODECS:
        topic = f"{prefix}-{codec}"
        wait(admin.create_topics([NewTopic(topic, 1)]))
        p, acks = producer(brokers, compression_type=codec), []
        want = records(codec)

        def acked(err, m):
            same("error", err, None)
            acks.append(m.offset())

        for k, v, h in want:
            p.produce(topic, key=k, value=v, headers=h, partition=0, on_delivery=acked)
        same("left after the flush", p.flush(30), 0)
        same("acked offsets", acks, list(range(len(want))))
        c = consumer(brokers)
        c.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        for i, (m, (k, v, h)) in enumerate(zip(poll(c, len(want)), want)):
            same(f"{codec}, record {i}", (m.offset(), m.key(), m.value(), m.headers() or []), (i, k, v, h))
        c.close()
        say(f"produce and consume, {codec}")


def offsets_and_times(brokers, prefix, admin):
    topic = f"{prefix}-none"
    c = consumer(brokers)
    low, high = c.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    same("low watermark", low, 0)
    c.assign([TopicPartition(topic, 0, 7)])
    m = poll(c, 1)[0]
    same("from an offset", m.offset(), 7)
    found = c.offsets_for_times([TopicPartition(topic, 0, m.timestamp()[1])], timeout=10)[0]
    if not 0 <= found.offset <= 7:
        raise AssertionError(f"offsets_for_times: {found.offset}")
    same("a time to come", c.offsets_for_times([TopicPartition(topic, 0, int(time.time() * 1000) + 3_600_000)], timeout=10)[0].offset, -1)
    c.seek(TopicPartition(topic, 0, high - 1))
    same("the last", poll(c, 1)[0].offset(), high - 1)
    c.close()
    specs = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest(), "max": OffsetSpec.max_timestamp()}
    got = {n: admin.list_offsets({TopicPartition(topic, 0): s}) for n, s in specs.items()}
    got = {n: next(iter(f.values())).result(10).offset for n, f in got.items()}
    same("list_offsets", (got["earliest"], got["latest"], 0 <= got["max"] < high), (0, high, True))
    say("offsets and times")


def groups(brokers, prefix, admin, strategy):
    topic, group = f"{prefix}-{strategy}", f"{prefix}-{strategy}-g"
    wait(admin.create_topics([NewTopic(topic, 4)]))
    p = producer(brokers)
    for i in range(400):
        p.produce(topic, value=b"%d" % i, partition=i % 4)
    p.flush(30)
    members = [consumer(brokers, group, partition_assignment_strategy=strategy) for _ in range(2)]
    for m in members:
        m.subscribe([topic])
    seen, end = set(), time.time() + 60
    while time.time() < end:
        for m in members:
            for r in m.consume(100, 0.2):
                same("error", r.error(), None)
                seen.add(int(r.value()))
        if len(seen) == 400 and all(len(m.assignment()) == 2 for m in members):
            break
    same("two members share the partitions", sorted(len(m.assignment()) for m in members), [2, 2])
    same("all records", len(seen), 400)
    for m in members:
        at = [TopicPartition(topic, tp.partition, 100, metadata="note") for tp in m.assignment()]
        m.commit(offsets=at, asynchronous=False)
        m.close()
    c = consumer(brokers, group)
    for tp in c.committed([TopicPartition(topic, part) for part in range(4)], timeout=10):
        same("committed", (tp.offset, tp.metadata), (100, "note"))
    c.close()
    described = admin.describe_consumer_groups([group])[group].result(10)
    same("state", described.state.name, "EMPTY")
    if group not in [g.group_id for g in admin.list_consumer_groups().result(10).valid]:
        raise AssertionError("the group is not listed")
    admin.delete_consumer_groups([group])[group].result(10)
    if group in [g.group_id for g in admin.list_consumer_groups().result(10).valid]:
        raise AssertionError("the deleted group is listed")
    say(f"groups, {strategy}")


def administration(brokers, prefix, admin):
    topic = f"{prefix}-admin"
    wait(admin.create_topics([NewTopic(topic, 2, config={"retention.ms": "3600000"})]))
    wait(admin.create_partitions([NewPartitions(topic, 3)]))
    same("partitions", len(admin.list_topics(topic, timeout=10).topics[topic].partitions), 3)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    same("config", next(iter(admin.describe_configs([resource]).values())).result(10)["retention.ms"].value, "3600000")
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
        ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)])
    wait(admin.incremental_alter_configs([change]))
    same("changed config", next(iter(admin.describe_configs([resource]).values())).result(10)["retention.ms"].value, "7200000")
    p = producer(brokers)
    for _ in range(10):
        p.produce(topic, value=b"x", partition=0)
    p.flush(30)
    deleted = admin.delete_records([TopicPartition(topic, 0, 4)])
    same("low watermark after delete_records", next(iter(deleted.values())).result(10).low_watermark, 4)
    same("brokers", len(admin.describe_cluster().result(10).nodes) > 0, True)
    wait(admin.delete_topics([topic]))
    if topic in admin.list_topics(timeout=10).topics:
        raise AssertionError("the deleted topic is listed")
    say("administration")


def checks(brokers, prefix):
    admin = AdminClient({"bootstrap.servers": brokers})
    produce_and_consume(brokers, prefix, admin)
    offsets_and_times(brokers, prefix, admin)
    groups(brokers, prefix, admin, "range")
    groups(brokers, prefix, admin, "cooperative-sticky")
    administration(brokers, prefix, admin)


def before(brokers, topic, group):
    p = producer(brokers)
    for i in range(900):
        p.produce(topic, value=b"%d" % i, partition=i % 3)
    p.flush(30)
    c = consumer(brokers, group)
    c.subscribe([topic])
    poll(c, 400)
    c.commit(asynchronous=False)
    out = {tp.partition: max(tp.offset, 0) for tp in c.committed(c.assignment(), timeout=10)}
    c.close()
    return out


def after(brokers, topic, group):
    p = producer(brokers)
    for part in range(3):
        p.produce(topic, value=b"after", partition=part)
    same("left after the flush", p.flush(60), 0)
    c = consumer(brokers, group)
    c.subscribe([topic])
    first, end = {}, time.time() + 60
    while len(first) < 3 and time.time() < end:
        m = c.poll(0.5)
        if m is not None and not m.error():
            first.setdefault(m.partition(), m.offset())
    c.close()
    return first


if __name__ == "__main__":
    main(checks, before, after)
