"""What every Python client is checked for: what it wrote comes back, byte for byte."""

import json
import sys

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
LARGE = 900_000  # bytes of a record that a client may send with default settings


def records(codec):
    """Records of all kinds: (key, value, headers)."""
    big = bytes(i * 7 % 251 for i in range(LARGE))
    return [
        (b"key", b"value " + codec.encode(), [("h", b"1"), ("h", b"2"), ("empty", b"")]),
        (None, b"no key", []),
        (b"no value", None, []),
        (b"", b"", []),
        (b"large", big, []),
    ] + [(b"k%d" % (i % 3), b"%d" % i, []) for i in range(200)]


def same(what, got, want):
    """Fails unless got is want."""
    if got != want:
        raise AssertionError(f"{what}: got {brief(got)}, want {brief(want)}")


def brief(x):
    text = repr(x)
    return text if len(text) < 500 else text[:250] + " … " + text[-200:]


def say(check):
    print("ok", check, flush=True)


def main(checks, before, after):
    """Runs a client's part: checks BROKERS PREFIX | before BROKERS TOPIC GROUP | after BROKERS TOPIC GROUP.

    before writes, reads a part in a group, commits, and prints what it has committed, by partition, as JSON; after reads on in the
    group, and prints the first offset that each partition gave.
    """
    part, brokers, *rest = sys.argv[1:]
    if part == "checks":
        checks(brokers, *rest)
    else:
        result = {"before": before, "after": after}[part](brokers, *rest)
        print(json.dumps({str(p): o for p, o in result.items()}))
