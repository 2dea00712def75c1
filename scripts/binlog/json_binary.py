"""MySQL's binary form of a JSON document, as compact text: members in the order in which they are
stored, which is by the length of their names."""

import base64
import struct
from decimal import Decimal

from .java_text import double_text, json_string

INLINE = {4, 5, 6}
NUMBERS = {5: "<h", 6: "<H", 7: "<i", 8: "<I", 9: "<q", 10: "<Q"}
LITERALS = {0: "null", 1: "true", 2: "false"}


def json_text(document):
    """An empty document is what MySQL has of NULL in a column that is not null."""
    return value_text(document[0], document[1:]) if document else "null"


def value_text(kind, data):
    if kind <= 3:
        return nested_text(data, kind in (1, 3), kind <= 1)
    if kind == 4:
        return LITERALS[data[0]]
    if kind in NUMBERS:
        form = NUMBERS[kind]
        return str(struct.unpack(form, data[:struct.calcsize(form)])[0])
    if kind == 11:
        text = double_text(data[:8])
        return f"{Decimal(struct.unpack('<d', data[:8])[0]):f}" if "E" in text else text
    if kind == 12:
        length, start = varied_length(data)
        return json_string(data[start:start + length].decode("utf-8"), escape_pairs=False)
    if kind == 15:
        length, start = varied_length(data[1:])
        return opaque_text(data[0], data[1 + start:1 + start + length])
    raise ValueError(f"a JSON document with a value of the unknown type {kind}")


def nested_text(data, large, is_object):
    width, form = (4, "<I") if large else (2, "<H")

    def number(at):
        return struct.unpack_from(form, data, at)[0]

    count, entries = number(0), 2 * width
    names = []
    for at in range(count if is_object else 0):
        entry = entries + at * (width + 2)
        start, = struct.unpack_from(form, data, entry)
        length, = struct.unpack_from("<H", data, entry + width)
        names.append(json_string(data[start:start + length].decode("utf-8"), False) + ":")
    entries += len(names) * (width + 2)
    parts = []
    for at in range(count):
        entry = entries + at * (width + 1)
        kind = data[entry]
        inline = kind in INLINE or (large and kind in (7, 8))
        start = entry + 1 if inline else number(entry + 1)
        parts.append((names[at] if is_object else "") + value_text(kind, data[start:]))
    return ("{" if is_object else "[") + ",".join(parts) + ("}" if is_object else "]")


def varied_length(data):
    """Seven bits a byte, the low ones first."""
    length = 0
    for at in range(5):
        length |= (data[at] & 0x7F) << (7 * at)
        if not data[at] & 0x80:
            return length, at + 1
    raise ValueError("a JSON document with a length of more than five bytes")


def opaque_text(kind, data):
    """A value of a column's type within a document; those that are not known are in base64."""
    if kind == 246:
        from .values import read_decimal
        negative, digits, scale = read_decimal(data[2:], data[0], data[1])[0]
        return f"{Decimal((negative, [int(digit) for digit in digits], -scale)):f}"
    if kind not in (7, 10, 11, 12):
        return json_string(base64.b64encode(data).decode())
    packed, = struct.unpack("<q", data[:8])
    sign, packed = ("-" if packed < 0 else ""), abs(packed)
    micro, whole = packed & 0xFFFFFF, packed >> 24
    years, month = divmod(whole >> 22, 13)
    date = f"{years:04}-{month:02}-{whole >> 17 & 0x1F:02}"
    minutes = f"{whole >> 6 & 0x3F:02}:{whole & 0x3F:02}"
    fraction = f".{micro:06}".rstrip("0") if micro else ""
    if kind == 10:
        return json_string(date)
    if kind == 11:
        return json_string(f"{sign}{whole >> 12 & 0x3FF:02}:{minutes}{fraction}")
    return json_string(f"{date} {whole >> 12 & 0x1F:02}:{minutes}{fraction}")
