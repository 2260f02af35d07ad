"""Readers of confluent-kafka (librdkafka) that had read beyond the cut of a failover, in partition 0 of a topic.

python cut.py live BROKERS TOPIC RECORDS FILE: reads so many with each auto.offset.reset, makes the file, goes on reading while the region
behind the address becomes another one, and prints what came next. python cut.py brought BROKERS TOPIC POSITION EPOCH: begins at a
position and its leader epoch, as an application does that keeps them, and prints what came.
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from checks import same

RESETS = ["earliest", "latest", "error"]
WAIT = 60  # seconds


def reader(brokers, topic, reset, offset, epoch=None):
    c = Consumer({
        "bootstrap.servers": brokers, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": reset,
        "reconnect.backoff.max.ms": 500,
    })
    where = TopicPartition(topic, 0, offset) if epoch is None else TopicPartition(topic, 0, offset, leader_epoch=epoch)
    c.assign([where])
    return c


def following(c):
    """What the application is given next: an offset, or the name of an error that librdkafka does not recover from by itself."""
    end = time.time() + WAIT
    while time.time() < end:
        m = c.poll(0.2)
        if m is None:
            continue
        if m.error() is None:
            return m.offset()
        if not m.error().name().startswith(("_TRANSPORT", "_ALL_BROKERS_DOWN")):
            return m.error().name()
    return "nothing"


def read(c, records):
    got, end = [], time.time() + WAIT
    while len(got) < records and time.time() < end:
        got += [m for m in c.consume(records - len(got), 0.5) if m.error() is None]
    same("records", len(got), records)
    return got[-1]


def live(brokers, topic, records, ready):
    readers = {reset: reader(brokers, topic, reset, OFFSET_BEGINNING) for reset in RESETS}
    last = [read(c, int(records)) for c in readers.values()]
    with open(ready, "w", encoding="ascii") as f:
        f.write(str(last[0].leader_epoch()))
    return {reset: following(c) for reset, c in readers.items()}


def brought(brokers, topic, position, epoch):
    return {reset: following(reader(brokers, topic, reset, int(position), int(epoch))) for reset in RESETS}


if __name__ == "__main__":
    part, *rest = sys.argv[1:]
    try:
        print(json.dumps({"live": live, "brought": brought}[part](*rest)))
    except KafkaException as e:
        sys.exit(f"{part}: {e}")
