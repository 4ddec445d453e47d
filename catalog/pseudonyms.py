"""Pseudonyms, by `lake add --mask COLUMN=hash` in a text's place: Debezium makes those of events, Postgres of copies.

Both take the SHA-256 of a secret key followed by the text in UTF-8, in hexadecimal and cut to the column's length: the
same text has the same pseudonym in every table of a lake, and whoever does not have the key can neither make nor check
one (https://debezium.io/documentation/reference/stable/connectors/postgresql.html, `column.mask.hash.v2`).
"""

from __future__ import annotations

import hashlib
import re

from catalog.errors import SourceError

UNCHANGED = "__debezium_unavailable_value"
"""What Debezium writes for a stored-out-of-line (TOAST) value that an update left as it was."""
KEY_SETTING = "lake.pseudonym_key"
"""Setting of a Postgres session that holds the key, so that it stands in no statement."""
SHORTEST = 32
"""Characters: 128 bits, so that no two texts of a table ever come to share a pseudonym."""
_DIGITS = 64
_TEXT = re.compile(r"text|character varying(?:\((\d+)\))?")


def mask_property(key: str) -> str:
    """The connector's setting that lists the columns which it masks so."""
    return f"column.mask.hash.v2.SHA-256.with.salt.{key}"


def pseudonym(key: str, text: str, length: int = _DIGITS) -> str:
    """The pseudonym of a text in a column of that length."""
    return hashlib.sha256((key + text).encode()).hexdigest()[:length]


def copied_pseudonym(length: int) -> str:
    """The SQL expression of a column's pseudonym, with `{}` for the column, in a session that has KEY_SETTING."""
    whole = f"encode(sha256(convert_to(current_setting('{KEY_SETTING}') || {{}}, 'UTF8')), 'hex')"
    return f"left({whole}, {length})"


def pseudonym_length(column: str, postgres: str) -> int:
    """How long a column's pseudonyms are, from its name and type.

    Raises SourceError for a type that Debezium would tell as it is, or a length at which pseudonyms are no more unique.
    """
    match = _TEXT.fullmatch(postgres)
    if match is None:
        raise SourceError(
            f"column {column} is {postgres}: only text and character varying have pseudonyms",
            remedy=f"--mask {column.split('.')[-1]}=null or --exclude {column.split('.')[-1]}",
        )
    length = min(int(match[1] or _DIGITS), _DIGITS)
    if length < SHORTEST:
        raise SourceError(
            f"column {column} is {postgres}: pseudonyms shorter than {SHORTEST} characters may be two texts' at once",
            remedy=f"alter its type to text, or mask it with null ({column.split('.')[-1]}=null)",
        )
    return length
