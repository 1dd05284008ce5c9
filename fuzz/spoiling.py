"""Ways to spoil one right answer of a server: a field of another kind, a body cut short, an odd status or header."""

from __future__ import annotations

import copy
import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from fuzz.fake_vault import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from fuzz.fake_server import Answer

VALUE = "VALCANARY"

At = tuple[str | int, ...]


class Spoiled(NamedTuple):
    """A spoiled answer.

    Attributes:
        how: in words, the same for the same way.
        at: the part that is another one; empty where it is the whole.
        status, headers, body: what is sent; with status None the body is all that goes over the connection.
    """

    how: str
    at: At
    status: int | None
    headers: Mapping[str, str]
    body: bytes


_ODD: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 7, 1.5, -0.0, 10**18, 10**30, "", "x", "0", "1", " ", "\0", "\ud800", "é", "../..",
    "a\nb", "A" * 70_000, [], {}, [None], ["x"], {"x": "y"}, [[]], [{}], {"": None}, {"x": {"y": [1, {"z": None}]}},
)  # fmt: skip
_RAW = (
    "1e999", "-1e999", "NaN", "1E400", "9" * 5000, "-" + "9" * 400, "0.1e-400", '"\\ud800"', '"\\u0000"',
    "[" * 2000 + "]" * 2000, '{"a":' * 1500 + "1" + "}" * 1500, "tru", "'x'", "", "01", "+1", "0x1", "Infinity", "\xff",
)  # fmt: skip
_DATES = (
    "", "x", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Sat, 28 Nov 2026 02:00:00 +99999999999999999999",
    "Sat, 28 Nov 0000 00:00:00 GMT", "1", "-1", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1200",
    "9" * 400, "\udcff", "Sat, 28 Nov 2026 99:99:99 GMT", "Sat, 28 Nov 2026",
)  # fmt: skip
_HEADERS = {
    "Date": _DATES,
    "Retry-After": (*_DATES, "0", "0.5", "1e3", "inf", "nan", "²", "٣", "0x1", " 5 ", "9" * 5000),
    "X-Vault-Index": ("", "x", "\udcff", "é", "djE6YTpiOmM6ZA==", "djE6YTox" + "OTk5OTk5" * 800, "a" * 7000, "\x01"),
    "Content-Type": (
        "text/html", "", "application/json; charset=utf-16", "application/json;charset=x-unknown",
        "multipart/form-data", "application/vnd.kubernetes.protobuf", "\udcff",
    ),
    "Content-Encoding": ("gzip", "deflate", "br", "zstd", "identity", "x", "gzip, gzip", "\udcff"),
    "Content-Length": ("0", "5", "-1", "x", "99999999999999999999", "1e3", "", " 7 ", "٣"),
    "Transfer-Encoding": ("chunked", "gzip", "chunked, chunked", "x", "gzip, chunked"),
    "Location": ("http://127.0.0.1:1/",),
    "Set-Cookie": ("a=b",),
    "x-amzn-errortype": ("ResourceNotFoundException",),
    "x-amz-crc32": ("1", "x"),
    "x-amzn-query-error": ("x",),
    "Connection": ("upgrade",),
    "Upgrade": ("h2c",),
    "Warning": (VALUE,),
    "X-Long": ("v" * 200_000,),
}  # fmt: skip
_REFUSALS = (400, 401, 403, 404, 405, 409, 410, 412, 413, 422, 429, 472, 473, 500, 501, 502, 503, 504)
_STATUSES = (*_REFUSALS, 201, 202, 203, 204, 205, 206, 226, 301, 302, 304, 307, 600, 999, 100, 101, 102, 103, 199)
_TELLING = {
    "errors": [VALUE + TOKEN], "message": VALUE, "__type": VALUE, "Message": TOKEN, "kind": "Status", "reason": VALUE,
    "details": {"kind": VALUE, "causes": [{"reason": VALUE, "field": TOKEN}]},
}  # fmt: skip
_BODIES = {
    "html": b"<html>It works!</html>", "null": b"null", "true": b"true", "1": b"1", "text": f'"{VALUE}"'.encode(),
    "[]": b"[]", "{}": b"{}", "empty": b"", "latin": b'{"data": "\xe9"}', "nul": b"\0" * 100,
    "errors": b'{"errors":[]}', "errors text": f'{{"errors":["{VALUE}"]}}'.encode(), "errors 1": b'{"errors":1}',
    "data null": b'{"data":null}', "data {}": b'{"data":{}}', "data []": b'{"data":[]}',
    "status": b'{"kind":"Status","status":"Failure","reason":"NotFound","details":{"kind":"secrets"},"code":404}',
    "aws": b'{"__type":"ResourceNotFoundException","message":"x"}', "aws 2": b'{"__type":5,"message":[1]}',
    "aws 3": b'{"__type":null,"Message":null}', "telling": json.dumps(_TELLING).encode(),
}  # fmt: skip
_OK = b"HTTP/1.1 200 OK\r\n"


def spoil(random: Random, answer: Answer) -> Spoiled:
    """One way to spoil an answer, by nothing but ``random``."""
    if answer.body is not None and not isinstance(answer.body, bytes) and random.random() < 0.6:
        return _field(random, answer)
    return random.choice((_body, _body, _body, _status, _header, _header, _wire))(random, answer)


def places(part: object, at: At = ()) -> Iterator[At]:
    """Where each part of an answer stands, the whole first."""
    yield at
    inner: list[tuple[str | int, object]] = []
    if isinstance(part, dict):
        inner = list(part.items())
    elif isinstance(part, list):
        inner = list(enumerate(part))
    for step, value in inner:
        yield from places(value, (*at, step))


def within(body: Any, at: At) -> Any:
    """The part that stands at ``at``."""
    for step in at:
        body = body[step]
    return body


def _field(random: Random, answer: Answer) -> Spoiled:
    at = random.choice(list(places(answer.body)))
    part, where = within(answer.body, at), shape(at)

    def made(how: str, body: str, spot: At = at) -> Spoiled:
        return Spoiled(how, spot, answer.status, {}, body.encode("latin-1"))

    how = random.random()
    if how < 0.5:
        value = random.choice(_ODD)
        return made(f"{where} = {json.dumps(value)[:30]}", json.dumps(with_value(answer.body, at, value)))
    if how < 0.8:
        raw = random.choice(_RAW)
        return made(f"{where} = raw {raw[:12]!r}({len(raw)})", _with_raw(answer.body, at, raw))
    if at and how < 0.87:
        return made(f"{where} missing", json.dumps(_without(answer.body, at)), (*at, "missing"))
    if isinstance(part, dict) and part:
        if how < 0.94:
            more = {**part, "extra": {"x": [VALUE]}, "": None, "errors": [VALUE]}
            return made(f"{where} extra", json.dumps(with_value(answer.body, at, more)))
        twice = f"{json.dumps(part)[:-1]}, {json.dumps(next(iter(part)))}: null}}"
        return made(f"{where} twice", _with_raw(answer.body, at, twice))
    if isinstance(part, list) and part:
        return made(f"{where} doubled", json.dumps(with_value(answer.body, at, part * 2)))
    return made(f"{where} = null", json.dumps(with_value(answer.body, at, None)))


def _body(random: Random, answer: Answer) -> Spoiled:
    right = _bytes(answer.body)
    how = random.randrange(4)
    if how == 0 and right:
        cut = random.choice((0, 1, 2, len(right) // 4, len(right) // 2, len(right) - 2, len(right) - 1))
        return Spoiled(f"cut to {cut}", (), answer.status, {}, right[: max(0, cut)])
    if how == 1:
        name, headers, body = random.choice(_packed(right, random))
        return Spoiled(name, (), answer.status, headers, body)
    name = random.choice(list(_BODIES))
    if how == 2:
        return Spoiled(f"body {name}", (), answer.status, {}, _BODIES[name])
    status = random.choice(_REFUSALS)
    return Spoiled(f"{status} {name}", (), status, {}, _BODIES[name])


def _packed(right: bytes, random: Random) -> list[tuple[str, dict[str, str], bytes]]:
    text = right.decode("latin-1")
    return [
        ("gzip right", {"Content-Encoding": "gzip"}, gzip.compress(right, mtime=0)),
        ("gzip cut", {"Content-Encoding": "gzip"}, gzip.compress(right, mtime=0)[:-5]),
        ("gzip twice", {"Content-Encoding": "gzip"}, gzip.compress(gzip.compress(right, mtime=0), mtime=0)),
        ("deflate right", {"Content-Encoding": "deflate"}, zlib.compress(right)),
        ("utf16", {}, text.encode("utf-16")),
        ("utf32", {}, text.encode("utf-32")),
        ("bom", {}, b"\xef\xbb\xbf" + right),
        ("twice", {}, right * 2),
        ("spaces", {}, b" " * 70_000 + right),
        ("newline", {}, b"\n" + right),
        ("comment", {}, b"/*x*/" + right),
        ("random", {}, random.randbytes(300)),
    ]


def _status(random: Random, answer: Answer) -> Spoiled:
    status = random.choice((random.choice(_STATUSES), random.randrange(200, 600)))
    body = random.choice((_bytes(answer.body), b""))
    return Spoiled(f"status {status}{'' if body else ' empty'}", (), status, {}, body)


def _header(random: Random, answer: Answer) -> Spoiled:
    name = random.choice(list(_HEADERS))
    value = random.choice(_HEADERS[name])
    status = 429 if name in ("Date", "Retry-After") and random.random() < 0.5 else answer.status
    told = f"{name}: {value[:20]!r}({len(value)})"
    return Spoiled(told if status != 429 else f"429 {told}", (), status, {name: value}, _bytes(answer.body))


def _wire(random: Random, answer: Answer) -> Spoiled:
    body = _bytes(answer.body)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    chunked = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
    name, sent = random.choice(
        (
            ("nothing", b""), ("no status", b"\r\n\r\n"), ("http 0.9", body), ("not http", b"SSH-2.0-OpenSSH_9\r\n"),
            ("http 3", b"HTTP/3.0 200 OK\r\n\r\n" + body), ("no length", _OK + b"\r\n" + body),
            ("status text", b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}"),
            ("status long", b"HTTP/1.1 20000 OK\r\nContent-Length: 2\r\n\r\n{}"),
            ("short", _OK + b"Content-Length: %d\r\n\r\n" % (len(body) + 50) + body),
            ("long", _OK + b"Content-Length: %d\r\n\r\n" % max(0, len(body) - 3) + body),
            ("two lengths", _OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + body),
            ("bad chunk", chunked + b"zz\r\n" + body),
            ("chunk cut", chunked + b"%x\r\n" % (len(body) + 9) + body),
            ("chunk without an end", chunked + b"%x\r\n" % len(body) + body + b"\r\n"),
            ("header with nul", _OK + b"X: a\0b\r\n" + length + body),
            ("header without colon", _OK + b"foo\r\n" + length + body),
            ("folded", _OK + b"X-Vault-Index: a\r\n b\r\n" + length + body),
            ("many 100s", b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + _OK + length + body),
            ("bare lf", (_OK + length).replace(b"\r", b"") + body),
            ("reason", b"HTTP/1.1 200 " + VALUE.encode() * 1000 + b"\r\n" + length + body),
            ("many headers", _OK + b"".join(b"X-H%d: v\r\n" % n for n in range(5000)) + length + body),
        )
    )  # fmt: skip
    return Spoiled(f"wire: {name}", (), None, {}, sent)


def shape(at: At) -> str:
    """Where a part stands, the same for each secret, version and page."""
    return ".".join(map(_step, at)) or "all"


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return "N"
    if re.fullmatch(r"(p/|/p/)?k[0-9]|[0-9a-f]{8}-.*", step):
        return "KEY"
    return "VERSION" if step.isdigit() else step


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def with_value(body: object, at: At, value: object) -> object:
    """An answer with another value at one place."""
    if not at:
        return value
    made = copy.deepcopy(body)
    within(made, at[:-1])[at[-1]] = value
    return made


def _with_raw(body: object, at: At, text: str) -> str:
    mark = "@@HERE@@"
    return json.dumps(with_value(body, at, mark)).replace(f'"{mark}"', text)


def _without(body: object, at: At) -> object:
    made = copy.deepcopy(body)
    del within(made, at[:-1])[at[-1]]
    return made
