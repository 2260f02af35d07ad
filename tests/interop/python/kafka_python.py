"""kafka-python with default settings: python kafka_python.py PART BROKERS ARGUMENTS… (see checks.main)."""

import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import RebalanceInProgressError
from kafka.structs import OffsetAndMetadata

from checks import CODECS, main, records, same, say


def consume(brokers, tps, want, timeout=30):
    """Reads want records from the start of partitions, without a group."""
    c = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
    c.assign(tps)
    out, end = [], time.time() + timeout
    while len(out) < want and time.time() < end:
        for batch in c.poll(timeout_ms=500).values():
            out += batch
    c.close()
    same("number of records", len(out), want)
    return out


def produce_and_consume(brokers, prefix, admin):
    for codec in CODECS:
        topic = f"{prefix}-{codec}"
        admin.create_topics([NewTopic(topic, 1, 1)])
        p = KafkaProducer(bootstrap_servers=brokers, compression_type=None if codec == "none" else codec)
        want = records(codec)
        acks = [p.send(topic, key=k, value=v, headers=h, partition=0) for k, v, h in want]
        p.flush(30)
        same("acked offsets", [a.get(10).offset for a in acks], list(range(len(want))))
        p.close()
        got = consume(brokers, [TopicPartition(topic, 0)], len(want))
        for i, (r, (k, v, h)) in enumerate(zip(got, want)):
            same(f"{codec}, record {i}", (r.offset, r.key, r.value, list(r.headers)), (i, k, v, h))
        say(f"produce and consume, {codec}")


def offsets_and_times(brokers, prefix):
    topic = f"{prefix}-none"
    tp = TopicPartition(topic, 0)
    c = KafkaConsumer(bootstrap_servers=brokers, consumer_timeout_ms=20_000)
    c.assign([tp])
    end = c.end_offsets([tp])[tp]
    same("beginning", c.beginning_offsets([tp])[tp], 0)
    c.seek(tp, 7)
    r = next(c)
    same("seek", r.offset, 7)
    found = c.offsets_for_times({tp: r.timestamp})[tp]
    if not (found.offset <= 7 and found.timestamp >= r.timestamp):
        raise AssertionError(f"offsets_for_times: {found}, for {r.timestamp}")
    same("a time to come", c.offsets_for_times({tp: int(time.time() * 1000) + 3_600_000})[tp], None)
    c.seek(tp, end - 1)
    same("the last", next(c).offset, end - 1)
    c.close()
    say("offsets and times")


# kafka-python 3.0 forgets a join when its poll ends between the answers to JoinGroup and SyncGroup and it had joined for news in its
# metadata: it sends no heartbeats from then on, until its session ends. So a poll takes long; it returns as soon as there are records.
POLL_MS = 5000


class Member(threading.Thread):
    """A member of a group that reads until it is stopped, then commits offset 100 of what it has."""

    def __init__(self, *args):
        super().__init__(daemon=True)
        self.args, self.assigned, self.seen, self.stop = args, set(), set(), threading.Event()
        self.start()

    def run(self):
        brokers, topic, group = self.args
        c = KafkaConsumer(topic, bootstrap_servers=brokers, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False)
        while not self.stop.is_set():
            self.read(c)
        end = time.time() + 30
        while True:
            try:
                c.commit({tp: OffsetAndMetadata(100, "note", -1) for tp in c.assignment()})
                break
            except RebalanceInProgressError:  # says itself that it wants a poll, and the commit again
                if time.time() > end:
                    raise
                self.read(c)
        c.close()

    def read(self, c):
        for batch in c.poll(timeout_ms=POLL_MS).values():
            self.seen |= {int(r.value) for r in batch}
        self.assigned = c.assignment()


def groups(brokers, prefix, admin):
    topic, group = f"{prefix}-group", f"{prefix}-g"
    admin.create_topics([NewTopic(topic, 4, 1)])
    p = KafkaProducer(bootstrap_servers=brokers)
    for i in range(400):
        p.send(topic, value=b"%d" % i, partition=i % 4)
    p.flush(30)
    members, end, shares = [Member(brokers, topic, group) for _ in range(2)], time.time() + 90, []
    while time.time() < end and not (shares == [2, 2] and len(members[0].seen | members[1].seen) == 400):
        time.sleep(0.1)
        shares = sorted(len(m.assigned) for m in members)
    for m in members:
        m.stop.set()
    for m in members:
        m.join(60)
    same("two members share the partitions", shares, [2, 2])
    same("all records", len(members[0].seen | members[1].seen), 400)
    c = KafkaConsumer(bootstrap_servers=brokers, group_id=group)
    for part in range(4):
        same("committed", c.committed(TopicPartition(topic, part), metadata=True).offset, 100)
        same("metadata", c.committed(TopicPartition(topic, part), metadata=True).metadata, "note")
    c.close()
    listed = admin.list_group_offsets(group) if hasattr(admin, "list_group_offsets") else admin.list_consumer_group_offsets(group)
    if not listed:
        raise AssertionError("the admin client sees no offsets of the group")
    say("groups")


def administration(brokers, prefix, admin):
    topic = f"{prefix}-admin"
    admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
    if topic not in admin.list_topics():
        raise AssertionError("the topic is not listed")
    admin.create_partitions({topic: 3})
    c = KafkaConsumer(bootstrap_servers=brokers)
    same("partitions", c.partitions_for_topic(topic), {0, 1, 2})
    c.close()
    p = KafkaProducer(bootstrap_servers=brokers)
    for i in range(10):
        p.send(topic, value=b"x", partition=0)
    p.flush(30)
    admin.delete_records({TopicPartition(topic, 0): 4})
    c = KafkaConsumer(bootstrap_servers=brokers)
    same("the start after delete_records", c.beginning_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)], 4)
    c.close()
    admin.delete_topics([topic])
    if topic in admin.list_topics():
        raise AssertionError("the deleted topic is listed")
    say("administration")


def checks(brokers, prefix):
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    produce_and_consume(brokers, prefix, admin)
    offsets_and_times(brokers, prefix)
    groups(brokers, prefix, admin)
    administration(brokers, prefix, admin)


def before(brokers, topic, group):
    p = KafkaProducer(bootstrap_servers=brokers)
    for i in range(900):
        p.send(topic, value=b"%d" % i, partition=i % 3)
    p.flush(30)
    c = KafkaConsumer(topic, bootstrap_servers=brokers, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=50)
    n = 0
    while n < 400:
        n += sum(len(b) for b in c.poll(timeout_ms=POLL_MS).values())
    c.commit()
    out = {tp.partition: c.position(tp) for tp in c.assignment()}
    c.close()
    return out


def after(brokers, topic, group):
    p = KafkaProducer(bootstrap_servers=brokers)
    for part in range(3):
        p.send(topic, value=b"after", partition=part)
    p.flush(60)
    c = KafkaConsumer(topic, bootstrap_servers=brokers, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False)
    first, end = {}, time.time() + 60
    while len(first) < 3 and time.time() < end:
        for tp, batch in c.poll(timeout_ms=POLL_MS).items():
            first.setdefault(tp.partition, batch[0].offset)
    c.close()
    return first


if __name__ == "__main__":
    main(checks, before, after)
