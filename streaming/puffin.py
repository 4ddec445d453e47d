"""Deletion vectors as Puffin files, one vector per file.

Formats: the blob `deletion-vector-v1` and the file layout of https://iceberg.apache.org/puffin-spec/, the bitmap of
https://github.com/RoaringBitmap/RoaringFormatSpec ("64-bit extension"). DuckDB 1.5.5 applies a wrong vector, without
an error, where one file holds several.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

from pyroaring import BitMap

_FILE_MAGIC = b"PFA1"
_VECTOR_MAGIC = b"\xd1\xd3\x39\x64"
_POSITION_FIELD_ID = 2147483645

OFFSET = len(_FILE_MAGIC)
"""Where the only blob of a file starts."""


@dataclass(frozen=True)
class Vector:
    """A deletion vector in the table: its Puffin file and the data file it belongs to."""

    path: str
    file_size: int
    cardinality: int
    data_file: str
    offset: int
    length: int


def vector_file(deleted: BitMap, data_file: str) -> tuple[bytes, int]:
    """A whole Puffin file for the deleted rows of one data file, and the length of its blob."""
    bitmap = deleted.serialize()
    vector = _VECTOR_MAGIC + struct.pack("<qi", 1, 0) + bitmap
    blob = struct.pack(">i", len(vector)) + vector + struct.pack(">I", zlib.crc32(vector))
    footer = json.dumps(
        {
            "blobs": [
                {
                    "type": "deletion-vector-v1",
                    "fields": [_POSITION_FIELD_ID],
                    "snapshot-id": -1,
                    "sequence-number": -1,
                    "offset": OFFSET,
                    "length": len(blob),
                    "properties": {"referenced-data-file": data_file, "cardinality": str(len(deleted))},
                }
            ],
            "properties": {"created-by": "lakehouse"},
        },
        separators=(",", ":"),
    ).encode()
    tail = _FILE_MAGIC + footer + struct.pack("<i", len(footer)) + bytes(4) + _FILE_MAGIC
    return _FILE_MAGIC + blob + tail, len(blob)


def read_vector(blob: bytes) -> BitMap:
    """The deleted rows of a vector's blob. Raises ValueError when it is damaged or larger than this project writes."""
    vector, checksum = blob[4:-4], struct.unpack(">I", blob[-4:])[0]
    if vector[:4] != _VECTOR_MAGIC or zlib.crc32(vector) != checksum:
        raise ValueError("a damaged deletion vector: magic or checksum is wrong")
    (bitmaps,) = struct.unpack_from("<q", vector, 4)
    if bitmaps == 0:
        return BitMap()
    (upper,) = struct.unpack_from("<i", vector, 12)
    if bitmaps != 1 or upper != 0:
        raise ValueError("a deletion vector over more than 2^32 rows")
    return BitMap.deserialize(vector[16:])
