"""Deletion vectors: what is written is read back, by pyiceberg too, and damage is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.table.deletion_vector import deletion_vectors_from_puffin_file
from pyiceberg.table.puffin import PuffinFile
from pyroaring import BitMap

from streaming.puffin import OFFSET, read_vector, vector_file

PATH = "s3://lakehouse/warehouse/taxi_cdc/trips/data/a.parquet"
ROWS = st.sets(st.integers(0, 2**31 - 2)) | st.sets(st.integers(0, 300)) | st.builds(range, st.integers(0, 100_000))


def blob(content, length):
    return content[OFFSET : OFFSET + length]


@given(ROWS, st.booleans())
def test_written_and_read_it_is_the_same(rows, packed):
    deleted = BitMap(rows)
    if packed:
        deleted.run_optimize()
    assert read_vector(blob(*vector_file(deleted, PATH))) == deleted


@given(ROWS)
def test_pyiceberg_reads_the_same_rows(rows):
    deleted = BitMap(rows)
    deleted.run_optimize()
    content, length = vector_file(deleted, PATH)
    puffin = PuffinFile(content)
    (described,) = puffin.footer.blobs
    assert (described.offset, described.length) == (OFFSET, length)
    assert described.properties == {"referenced-data-file": PATH, "cardinality": str(len(deleted))}
    (vector,) = deletion_vectors_from_puffin_file(puffin)
    assert vector.referenced_data_file == PATH
    assert set(vector.to_vector().to_pylist()) == set(rows)


@pytest.mark.parametrize("place", [4, 8, 20, 24, -5, -1])
def test_a_damaged_vector_is_noticed(place):
    content = bytearray(blob(*vector_file(BitMap([1, 5, 70_000]), PATH)))
    content[place] ^= 1
    with pytest.raises(ValueError, match="damaged deletion vector"):
        read_vector(bytes(content))


def test_a_vector_of_more_rows_than_32_bits_count_is_refused():
    import struct
    import zlib

    vector = b"\xd1\xd3\x39\x64" + struct.pack("<qi", 1, 1) + BitMap([1]).serialize()
    with pytest.raises(ValueError, match="more than 2\\^32 rows"):
        read_vector(struct.pack(">i", len(vector)) + vector + struct.pack(">I", zlib.crc32(vector)))
