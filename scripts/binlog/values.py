"""A row's bytes in the binary log, as the JSON that Maxwell writes of them, a text a column.

What Maxwell loses is lost here too: TIME beyond a day wraps, the sign of a time is gone, a BIT of
more than 32 bits is added up in 32-bit steps, a year 0 is 1900, dates with a zero in them are zero.
"""

import base64
import struct
from datetime import datetime, timedelta

from .java_text import decimal_text, double_text, float_text, json_string
from .json_binary import json_text

# MySQL's types of columns.
TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, INT24, DATE, YEAR, NEWDATE = 1, 2, 3, 4, 5, 8, 9, 10, 13, 14
VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = 15, 16, 17, 18, 19
JSON, NEWDECIMAL, ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRY = 245, 246, 247, 248, 252, 253, 254, 255

SIZES = {TINY: 1, SHORT: 2, INT24: 3, LONG: 4, LONGLONG: 8}
DECIMAL_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)  # of a group of so many digits
SHAPES = {1: "POINT", 2: "LINESTRING", 3: "POLYGON", 4: "MULTIPOINT", 5: "MULTILINESTRING",
          6: "MULTIPOLYGON", 7: "GEOMETRYCOLLECTION"}
EPOCH = datetime(1970, 1, 1)


def read_row(data, at, columns, zone):
    """The texts of a row that begins at this byte, its raw values, and where the next one begins. The
    bitmap of what is NULL goes before; every column is there (binlog_row_image=FULL)."""
    nulls = data[at:at + (len(columns) + 7) // 8]
    at += len(nulls)
    texts, raws = [], []
    for number, column in enumerate(columns):
        if nulls[number // 8] >> number % 8 & 1:
            texts.append("null")
            raws.append(None)
            continue
        text, size = read_value(data, at, column, zone)
        texts.append(text)
        raws.append(data[at:at + size])
        at += size
    return texts, raws, at


def read_value(data, at, column, zone):
    kind = column.type
    if kind in SIZES:
        size = SIZES[kind]
        return str(int.from_bytes(data[at:at + size], "little", signed=not column.unsigned)), size
    if kind == FLOAT:
        return float_text(data[at:at + 4]), 4
    if kind == DOUBLE:
        return double_text(data[at:at + 8]), 8
    if kind == YEAR:
        return str(1900 + data[at]), 1
    if kind == NEWDECIMAL:
        told, size = read_decimal(data[at:], column.precision, column.decimals)
        return decimal_text(*told), size
    if kind == BIT:
        return bit_text(data[at:at + column.bytes]), column.bytes
    if kind in (DATE, NEWDATE):
        return json_string(date_text(int.from_bytes(data[at:at + 3], "little"))), 3
    if kind in (TIME2, DATETIME2, TIMESTAMP2):
        return read_time(data, at, column, zone)
    if kind in (ENUM, SET):
        return read_members(data, at, column)
    return read_bytes(data, at, column)


def read_decimal(data, precision, scale):
    """((negative, digits, scale), size). Groups of nine digits take four bytes, the first group of the
    whole part and the last one of the fraction what they need; a negative number is inverted."""
    whole, fraction = precision - scale, scale
    groups = [whole % 9] + [9] * (whole // 9) + [9] * (fraction // 9) + [fraction % 9]
    size = sum(DECIMAL_BYTES[group] for group in groups)
    raw = bytearray(data[:size])
    negative = not raw[0] & 0x80
    raw[0] ^= 0x80
    if negative:
        raw = bytearray(byte ^ 0xFF for byte in raw)
    digits, at = "", 0
    for group in groups:
        if group:
            width = DECIMAL_BYTES[group]
            digits += str(int.from_bytes(raw[at:at + width], "big")).rjust(group, "0")
            at += width
    return (negative, digits, scale), size


def bit_text(raw):
    if len(raw) == 8 and raw[0] > 127:
        return str(int.from_bytes(raw, "big"))
    total = 0
    for place, byte in enumerate(reversed(raw)):
        step = byte << 8 * place % 32 & 0xFFFFFFFF
        total += step - (1 << 32) if step >> 31 else step
    return str(total)


def date_text(packed):
    year, month, day = packed >> 9, packed >> 5 & 15, packed & 31
    return "0000-00-00" if not (year and month and day) else f"{year:04}-{month:02}-{day:02}"


def read_time(data, at, column, zone):
    """Three kinds of times, each with up to six digits of a fraction behind it."""
    width = {TIME2: 3, DATETIME2: 5, TIMESTAMP2: 4}[column.type]
    size = (column.fsp + 1) // 2
    whole = int.from_bytes(data[at:at + width], "big")
    fraction = int.from_bytes(data[at + width:at + width + size], "big")
    micro = fraction * 100 ** (3 - size) if size else 0
    if column.type == TIME2:
        text = time_text(whole, micro, zone, column.fsp)
    elif column.type == DATETIME2:
        text = datetime_text(whole, micro, column.fsp)
    elif not whole and not micro:
        text = zero_datetime(column.fsp)
    else:
        text = moment_text(EPOCH + zone_shift(whole, zone), micro, column.fsp)
    return json_string(text), width + size


def zone_shift(seconds, zone):
    moment = timedelta(seconds=seconds)
    return moment + (datetime.fromtimestamp(seconds, zone).utcoffset() if zone else timedelta(0))


def with_fraction(text, micro, digits):
    return f"{text}.{micro:06}"[:len(text) + 1 + digits] if digits else text


def zero_datetime(digits):
    return with_fraction("0000-00-00 00:00:00", 0, digits)


def moment_text(moment, micro, digits):
    moment += timedelta(microseconds=micro)
    return with_fraction(f"{moment.year:04}{moment:-%m-%d %H:%M:%S}", moment.microsecond, digits)


def datetime_text(packed, micro, digits):
    packed &= 0x7FFFFFFFFF
    day, clock = packed >> 17 & 0x1F, packed & 0x1FFFF
    year, month = divmod(packed >> 22, 13)
    if not (year and month and day):
        return zero_datetime(digits)
    return with_fraction(f"{year:04}-{month:02}-{day:02} {clock >> 12:02}:{clock >> 6 & 63:02}:"
                         f"{clock & 63:02}", micro, digits)


def time_text(packed, micro, zone, digits):
    """As a moment of the first day of 1970: the sign is not looked at."""
    seconds = (packed >> 12 & 0x3FF) * 3600 + (packed >> 6 & 63) * 60 + (packed & 63)
    total = zone_shift(seconds, zone) + timedelta(microseconds=micro)
    seconds = int(total.total_seconds() // 1) % 86400
    return with_fraction(f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
                         total.microseconds, digits)


def read_members(data, at, column):
    """One or several of an enum's or a set's; an enum's value that is none of them has the place 0."""
    size = column.size
    number = int.from_bytes(data[at:at + size], "little")
    if column.type == ENUM:
        known = 0 < number < len(column.enum_values)
        return json_string(column.enum_values[number]) if known else "null", size
    members = [json_string(member) for place, member in enumerate(column.set_values)
               if number >> place & 1]
    return "[" + ",".join(members) + "]", size


def read_bytes(data, at, column):
    if column.type in (BLOB, JSON, GEOMETRY):
        width = column.length_size
    else:
        width = 2 if column.max_length > 255 else 1
    size = int.from_bytes(data[at:at + width], "little")
    raw = data[at + width:at + width + size]
    if column.type == JSON:
        text = json_text(raw)
    elif column.type == GEOMETRY:
        text = json_string(geometry_text(raw[4:]))  # behind the id of its reference system
    elif column.collation_name == "binary":
        text = json_string(base64.b64encode(raw).decode())
    else:
        text = json_string(raw.decode(column.character_set_name, "replace"))
    return text, width + size


def geometry_text(raw):
    return read_geometry(raw, 0)[0]


def read_geometry(raw, at):
    order = "<" if raw[at] else ">"
    kind, = struct.unpack_from(order + "I", raw, at + 1)
    at += 5

    def points(at, count):
        pairs = struct.unpack_from(f"{order}{2 * count}d", raw, at)
        return [f"{number(x)} {number(y)}" for x, y in zip(pairs[::2], pairs[1::2])], at + 16 * count

    if kind == 1:
        found, at = points(at, 1)
        return f"POINT ({found[0]})", at
    count, = struct.unpack_from(order + "I", raw, at)
    at += 4
    if kind == 2:
        found, at = points(at, count)
    else:
        found = []
        for _ in range(count):
            if kind == 3:
                length, = struct.unpack_from(order + "I", raw, at)
                ring, at = points(at + 4, length)
                found.append("(" + ", ".join(ring) + ")")
            else:
                part, at = read_geometry(raw, at)
                found.append(part if kind == 7 else part.split(" ", 1)[1])
    return f"{SHAPES[kind]} " + ("(" + ", ".join(found) + ")" if found else "EMPTY"), at


def number(value):
    return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)
