"""The formats of JSON Schema 2020-12 (validation, section 7.3) as regular expressions of the whole string.

For a string of a format that must also match an expression of the caller's. Each is somewhat narrower than its RFC, so
that what it matches is taken by every checker. Pure; imports nothing of ours.
"""

import re

__all__ = ["expressions_of", "is_typical"]

_DAY = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = rf"(?:(?:[1-9]\d{{3}}|0[1-9]\d\d|00[1-9]\d|000[1-9])-{_DAY}|{_LEAP_YEAR}-02-29)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_CLOCK = r"T(?:\d{1,6}S|\d{1,6}M(?:\d{1,6}S)?|\d{1,6}H(?:\d{1,6}M(?:\d{1,6}S)?)?)"
_DAYS = r"(?:\d{1,6}D|\d{1,6}M(?:\d{1,6}D)?|\d{1,6}Y(?:\d{1,6}M(?:\d{1,6}D)?)?)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H = r"[0-9a-fA-F]{1,4}"
_IPV6 = "|".join(
    [
        rf"(?:{_H}:){{7}}{_H}",
        rf"::(?:{_H}(?::{_H}){{0,6}})?",
        *(rf"{_H}(?::{_H}){{0,{left - 1}}}::(?:{_H}(?::{_H}){{0,{6 - left}}})?" for left in range(1, 7)),
        rf"(?:{_H}:){{7}}:",
        rf"::(?:[fF]{{4}}:)?{_IPV4}",
    ]
)
_PCHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_BEHIND = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_WITH_HOST = rf"{_SCHEME}://(?:[A-Za-z0-9._~-]+(?::[A-Za-z0-9._~-]*)?@)?{_HOST}(?::\d{{1,4}})?(?:/{_PCHAR}*)*{_BEHIND}"
_WITHOUT_HOST = rf"{_SCHEME}:/?{_PCHAR}+(?:/{_PCHAR}*)*{_BEHIND}"
_RELATIVE = rf"/?{_PCHAR}*(?:/{_PCHAR}+)*{_BEHIND}"
_HEX = "[0-9a-fA-F]"
_EMAIL = (rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,}}", rf"{_ATOM}(?:\.{_ATOM})*@{_HOST}")
_URI = (_WITH_HOST, _WITHOUT_HOST)
# The likelier forms first: what no string of the first can be is tried with the next.
_EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "date-time": (rf"{_DATE}T{_TIME}",),
    "date": (_DATE,),
    "time": (_TIME,),
    "duration": (rf"P(?:{_DAYS}(?:{_CLOCK})?|{_CLOCK}|\d{{1,6}}W)",),
    **dict.fromkeys(("email", "idn-email"), _EMAIL),
    **dict.fromkeys(("hostname", "idn-hostname"), (_HOST,)),
    "ipv4": (_IPV4,),
    "ipv6": (_IPV6,),
    **dict.fromkeys(("uri", "iri", "url"), _URI),
    **dict.fromkeys(("uri-reference", "iri-reference", "uri-template"), (*_URI, _RELATIVE)),
    "uuid": (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    ),
    "json-pointer": (r"(?:/[A-Za-z0-9_.-]*)*",),
    "relative-json-pointer": (r"(?:0|[1-9]\d{0,5})(?:#|(?:/[A-Za-z0-9_.-]*)*)",),
}  # fmt: skip


def expressions_of(name: str) -> tuple[str, ...]:
    """Expressions of the whole of a string of that format, the likelier first; none for a format that has none."""
    return _EXPRESSIONS.get(name, ())


def is_typical(text: str, name: str) -> bool:
    """Is the text, of at most some hundred characters, of the likeliest form of that format?"""
    return any(re.fullmatch(expression, text, re.ASCII) for expression in expressions_of(name)[:1])
