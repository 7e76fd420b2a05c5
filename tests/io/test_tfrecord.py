"""TFRecord framing and protocol buffers, on bytes that are written here."""

import re
import struct

import pytest

from lit_metanas.io.tfrecord import LARGEST_RECORD, fields, read_tfrecords

SOURCE = "https://example.org/table"
RECORDS = [b"", b"a", b"123456789" * 2, bytes(range(0, 256, 9)), b"\0" * 10, b"last"]


def framed(records):
    return b"".join(struct.pack("<Q", len(record)) + b"sum1" + record + b"sum2" for record in records)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.tfrecord"
    path.write_bytes(framed(RECORDS))
    return path


def test_records_come_back_and_every_truncation_is_found(path):
    data, places = path.read_bytes(), {0}
    for record in RECORDS:
        places.add(max(places) + 16 + len(record))
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        if length in places:  # a whole number of records: nothing says that there were more
            assert list(read_tfrecords(path, SOURCE)) == RECORDS[: sorted(places).index(length)]
            continue
        with pytest.raises(ValueError, match=r"^'.*some.tfrecord' ends within a record: get it again from http"):
            list(read_tfrecords(path, SOURCE))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "large.tfrecord"
    path.write_bytes(framed([b"small"]) + struct.pack("<Q", 2**63) + b"sum1")
    with pytest.raises(ValueError, match=rf"holds a record of {2**63} bytes, .*: get it from {SOURCE}"):
        list(read_tfrecords(path, SOURCE))
    path.write_bytes(framed([b"x" * (LARGEST_RECORD + 1)]))
    with pytest.raises(ValueError, match="which no table has"):
        list(read_tfrecords(path, SOURCE))
    with pytest.raises(FileNotFoundError, match=rf"There is no table '.*absent': get it from {SOURCE} and give its"):
        list(read_tfrecords(tmp_path / "absent", SOURCE))


def test_fields_of_every_kind():
    message = (
        b"\x08\x96\x01"  # the documentation's example: field 1 is 150
        + b"\x12\x07testing"  # field 2, a text
        + b"\x19"
        + struct.pack("<d", -0.75)
        + b"\x25"
        + struct.pack("<f", 1.5)
        + b"\xa8\x06\x01"  # field 101
        + b"\x12\x00"
    )
    assert list(fields(message)) == [(1, 150), (2, b"testing"), (3, -0.75), (4, 1.5), (101, 1), (2, b"")]
    assert list(fields(b"")) == []


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\x08", "within a number"),
        (b"\x12\x07testin", "within a text"),
        (b"\x19\0\0\0", "within a number"),
        (b"\x0b", "unknown kind 3"),
        (b"\x08" + b"\xff" * 11, "within a number"),
    ],
)
def test_bad_messages_are_refused(message, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        list(fields(message))
