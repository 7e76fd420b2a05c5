"""TFRecord framing and protocol buffers, on bytes that are written here, bit by bit."""

import re
import struct
from contextlib import suppress

import pytest

from lit_metanas.io.tfrecord import LARGEST_RECORD, fields, masked_checksums, read_tfrecords

SOURCE = "https://example.org/table"


def crc32c(text):
    """One bit after the other, the polynomial 0x1EDC6F41 in its usual order."""
    state = 0xFFFFFFFF
    for byte in text:
        for place in range(8):
            bit = (byte >> place & 1) ^ (state >> 31)
            state = (state << 1 & 0xFFFFFFFF) ^ (0x1EDC6F41 if bit else 0)
    return int(f"{state ^ 0xFFFFFFFF:032b}"[::-1], 2)


def masked(text):
    checksum = crc32c(text)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def framed(records):
    lengths = [struct.pack("<Q", len(record)) for record in records]
    return b"".join(
        length + masked(length) + record + masked(record) for length, record in zip(lengths, records, strict=True)
    )


RECORDS = [b"", b"a", b"123456789" * 2, bytes(range(0, 256, 9)), b"\0" * 10, b"last"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.tfrecord"
    path.write_bytes(framed(RECORDS))
    return path


def test_published_checksums():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    found = masked_checksums(RECORDS)
    assert [struct.pack("<I", int(checksum)) for checksum in found] == [masked(record) for record in RECORDS]
    assert len(masked_checksums([])) == 0


def test_records_come_back(path, monkeypatch):
    assert list(read_tfrecords(path, SOURCE)) == RECORDS
    monkeypatch.setattr("lit_metanas.io.tfrecord.BATCH", 2)
    assert list(read_tfrecords(path, SOURCE)) == RECORDS


def test_a_large_record_is_refused_before_a_batch_is_laid_out_by_it(tmp_path):
    path = tmp_path / "large.tfrecord"
    path.write_bytes(framed([b"small"]) + framed([b"x" * (LARGEST_RECORD + 1)]) + framed([b"small"]))
    with pytest.raises(ValueError, match=rf"holds a record of {LARGEST_RECORD + 1} bytes, .*: get it from {SOURCE}"):
        list(read_tfrecords(path, SOURCE))


def test_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"There is no table '.*absent': get it from {SOURCE} and give its"):
        list(read_tfrecords(tmp_path / "absent", SOURCE))


def test_every_truncation_is_found(path):
    data, places = path.read_bytes(), {0}
    for record in RECORDS:
        places.add(max(places) + 16 + len(record))
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if length in places:  # a whole number of records: nothing tells that there were more
            assert list(read_tfrecords(path, SOURCE)) == RECORDS[: sorted(places).index(length)]
            continue
        with pytest.raises(ValueError, match=r"^'.*some.tfrecord' ends within a record: get it again from http"):
            list(read_tfrecords(path, SOURCE))


def test_a_flipped_bit_is_found_or_changes_nothing(path):
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        wrong = bytearray(data)
        wrong[place] ^= 1 << place % 8
        path.write_bytes(wrong)
        with suppress(ValueError):
            assert list(read_tfrecords(path, SOURCE)) == RECORDS  # a bit of a length's checksum


def test_the_damaged_record_is_named(path, monkeypatch):
    monkeypatch.setattr("lit_metanas.io.tfrecord.BATCH", 2)
    wrong = bytearray(path.read_bytes())
    wrong[-5] ^= 1
    path.write_bytes(wrong)
    records = read_tfrecords(path, SOURCE)
    assert [next(records) for _ in RECORDS[:-1]] == RECORDS[:-1]
    with pytest.raises(ValueError, match=rf"is damaged in record 6: get it again from {SOURCE}\.$"):
        next(records)


def test_another_file_is_refused(path):
    path.write_bytes(b"something else, of some length")
    with pytest.raises(ValueError, match="ends within a record: get it again"):
        list(read_tfrecords(path, SOURCE))


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
        (b"\x08\x96", "within a number"),
        (b"\x12\x07testin", "within a text"),
        (b"\x19\0\0\0", "within a number"),
        (b"\x0b", "unknown kind 3"),
        (b"\x08" + b"\xff" * 11, "within a number"),
    ],
)
def test_bad_messages_are_refused(message, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        list(fields(message))
