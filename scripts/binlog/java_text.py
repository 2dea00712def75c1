"""Values as the Java libraries below Maxwell write them: strings of JSON, decimals, floats, hashes."""

import struct

SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f",
         "\r": "\\r"}


def json_string(text, escape_pairs=True):
    """Characters beyond the basic plane are written as two escapes, but not within JSON columns."""
    parts = []
    for character in text:
        code = ord(character)
        if character in SHORT:
            parts.append(SHORT[character])
        elif code < 0x20:
            parts.append(f"\\u{code:04X}")
        elif code > 0xFFFF and escape_pairs:
            code -= 0x10000
            parts.append(f"\\u{0xD800 + (code >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}")
        else:
            parts.append(character)
    return '"' + "".join(parts) + '"'


def decimal_text(negative, digits, scale):
    """BigDecimal's text: an exponent where the first digit is more than six places behind the point."""
    digits = digits.lstrip("0") or "0"
    exponent = len(digits) - 1 - scale
    if exponent >= -6:
        digits = digits.rjust(scale + 1, "0")
        text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"E{exponent}"
    return ("-" if negative and digits.strip("0") else "") + text


def java_float(digits):
    """Java's text of a number, from a shortest one of Python's."""
    mantissa, _, exponent = f"{digits}".lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent or 0)
    every = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(every)
    every = every.rstrip("0")
    if not every:
        return sign + "0.0"
    if -3 < point <= 7:  # from 0.001 to below ten million
        if point <= 0:
            return f"{sign}0.{'0' * -point}{every}"
        every = every.ljust(point + 1, "0")
        return f"{sign}{every[:point]}.{every[point:]}"
    return f"{sign}{every[0]}.{every[1:] or '0'}E{point - 1}"


def double_text(raw):
    return java_float(repr(struct.unpack("<d", raw)[0]))


def float_text(raw):
    """The fewest digits that are read as the same four bytes."""
    value = struct.unpack("<f", raw)[0]
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == raw:
            break
    return java_float(text)


def hash_code(text):
    """String.hashCode(): of UTF-16 units, as a signed 32-bit number."""
    code, units = 0, text.encode("utf-16-be")
    for at in range(0, len(units), 2):
        code = (code * 31 + (units[at] << 8 | units[at + 1])) & 0xFFFFFFFF
    return code - (1 << 32) if code >> 31 else code


def partition_of(text, partitions):
    """Maxwell's producer: the remainder has the dividend's sign, and then none."""
    code = hash_code(text)
    return abs(code) % partitions
