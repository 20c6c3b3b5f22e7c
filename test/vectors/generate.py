#!/usr/bin/env python3
"""Writes the golden vectors of the Limpet protocol, from core/PROTOCOL.md alone.

    python3 test/vectors/generate.py            write *.json next to this file
    python3 test/vectors/generate.py --check    exit 1 if they differ from what it would write

It shares no code with any implementation, so that a mistake in one cannot hide itself.
README.md says what the files hold.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
CLIENT, SERVER = "client", "server"
PREFACES = {CLIENT: bytes.fromhex("af4c50540d0a1a43"), SERVER: bytes.fromhex("af4c50540d0a1a53")}
NUMBERS = {
    "HELLO": 1, "PROOF": 2, "CLOSE": 3, "PING": 4, "PONG": 5, "GOAWAY": 6, "ACK": 7, "PART": 9,
    "OPEN": 16, "STARTED": 17, "REFUSED": 18, "DATA": 19, "END": 20, "ABORT": 21, "CREDIT": 22, "STOP": 23,
    "SIGNAL": 24, "EXIT": 25, "DETACH": 26, "DROPPED": 27, "RESULT": 28,
}
MAX_CHANNEL = 2 ** 32 - 1
MAX_NUMBER = 2 ** 53 - 1
BEFORE = {"frame": 16384, "control": 0}
SMALL = {"frame": 1024, "control": 4096}
USUAL = {"frame": 65536, "control": 4194304}
TOKEN = "a-token-for-test-vectors"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def header(length, kind, channel, stream=0):
    return struct.pack(">IBBI", length, NUMBERS.get(kind, kind), stream, channel)


def frame(kind, payload=b"", channel=0, stream=0):
    payload = compact(payload) if isinstance(payload, dict) else payload
    return header(len(payload), kind, channel, stream) + payload


def cut(kind, payload, channel, limit, stream=0):
    """The frames of one message: PARTs of exactly `limit` bytes, then the rest."""
    payload, out = compact(payload), []
    while len(payload) > limit:
        out.append(frame("PART", payload[:limit], channel))
        payload = payload[limit:]
    return out + [frame(kind, payload, channel, stream)]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def show(kind, payload=b"", channel=0, stream=0):
    """A message the way the files describe one."""
    out = {"type": NUMBERS.get(kind, kind), "name": kind, "stream": stream, "channel": channel}
    if kind == "CREDIT":
        out["credit"] = struct.unpack(">I", payload)[0]
    elif isinstance(payload, dict):
        out["json"] = payload
    else:
        out["payload"] = payload.hex()
    return out


# ---- preface.json ----------------------------------------------------------------------


def preface_file():
    cases = []

    def case(name, reader, data, result, **more):
        cases.append({"name": name, "reader": reader, "transport": more.pop("transport", "socket"),
                      "hex": data.hex(), "result": result, **more})

    for reader, peer in ((SERVER, CLIENT), (CLIENT, SERVER)):
        right, own = PREFACES[peer], PREFACES[reader]
        case(f"{reader} reads the right preface", reader, right, "accept", consumed=8)
        case(f"{reader} reads the right preface and bytes behind it", reader,
             right + b"\x00\x00", "accept", consumed=8)
        case(f"{reader} reads nothing yet", reader, b"", "wait")
        case(f"{reader} reads seven right bytes", reader, right[:7], "wait")
        case(f"{reader} meets another {reader}", reader, own, "close", decided=8)
        for i in range(8):
            bad = bytearray(right)
            bad[i] ^= 0x20
            case(f"{reader} reads a wrong byte at {i}", reader, bytes(bad), "close", decided=i + 1)
        case(f"{reader}: line ends rewritten to LF", reader, right.replace(b"\r\n", b"\n"),
             "close", decided=5)
        case(f"{reader}: line ends rewritten to CR CR LF", reader,
             right.replace(b"\r\n", b"\r\r\n"), "close", decided=6)
        case(f"{reader}: the high bit is lost", reader, b"\x2f" + right[1:], "close", decided=1)
        case(f"{reader}: the preface as UTF-8 of Latin-1", reader, b"\xc2" + right, "close",
             decided=1)
        case(f"{reader}: a line before the preface on a socket", reader, b"hi\r\n" + right, "close",
             decided=1)
    case("an HTTP request", SERVER, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "close", decided=1)
    case("an HTTP answer", CLIENT, b"HTTP/1.1 400 Bad Request\r\n\r\n", "close", decided=1)
    case("a TLS client hello", SERVER, bytes.fromhex("16030100a5010000a10303"), "close", decided=1)
    case("an ssh banner", CLIENT, b"SSH-2.0-OpenSSH_9.6\r\n", "close", decided=1)
    right, ok = PREFACES[SERVER], {"transport": "stdio"}
    case("stdio: no banner", CLIENT, right, "accept", consumed=8, skipped="", **ok)
    case("stdio: a login banner", CLIENT, b"Welcome!\r\n" + right + b"\x00", "accept", consumed=18,
         skipped=b"Welcome!\r\n".hex(), **ok)
    case("stdio: a banner that begins like a preface", CLIENT, right[:5] + right[:7] + right,
         "accept", consumed=20, skipped=(right[:5] + right[:7]).hex(), **ok)
    case("stdio: the first byte twice", CLIENT, right[:1] + right, "accept", consumed=9,
         skipped=right[:1].hex(), **ok)
    case("stdio: a banner and no preface yet", CLIENT, b"Welcome!\r\n" + right[:7], "wait", **ok)
    case("stdio: the longest banner", CLIENT, right, "accept", consumed=65536 + 8,
         before={"hex": "2e", "times": 65536}, **ok)
    case("stdio: a banner one byte too long", CLIENT, right, "close",
         before={"hex": "2e", "times": 65537}, **ok)
    case("stdio: a server never skips", SERVER, b"x" + PREFACES[CLIENT], "close", decided=1, **ok)
    return {"prefaces": {side: value.hex() for side, value in PREFACES.items()},
            "skipLimit": 65536, "cases": cases}


# ---- frames.json -----------------------------------------------------------------------


def hello(side, nonce, limits=None, **more):
    version = {"min": 1, "max": 1} if side == CLIENT else {"version": 1}
    value = {**version, "nonce": b64(nonce),
             "limits": limits or {"frame": 65536, "control": 4194304, "window": 262144},
             "features": [], "software": "limpet-vectors/1"}
    value.update(more)
    return value


def nonce(label):
    return hashlib.sha256(b"nonce of the " + label.encode()).digest()


def frames_file():
    valid, invalid = [], []
    sides = {"authenticated": True, "limits": USUAL}

    def good(name, sender, parts, messages, **more):
        parts = [parts] if isinstance(parts, bytes) else parts
        valid.append({"name": name, "from": sender, **{**sides, **more},
                      "hex": b"".join(parts).hex(), "messages": messages})

    def one(name, sender, kind, payload=b"", channel=0, stream=0, **more):
        good(name, sender, frame(kind, payload, channel, stream),
             [show(kind, payload, channel, stream)], **more)

    def bad(name, sender, parts, layer="frame", error="protocol_error", known=None, **more):
        parts = [parts] if isinstance(parts, bytes) else parts
        data = b"".join(parts)
        invalid.append({"name": name, "from": sender, **{**sides, **more}, "hex": data.hex(),
                        "layer": layer, "error": error,
                        "known": len(data) if known is None else known})

    before = {"authenticated": False, "limits": BEFORE}
    proof = {"proof": b64(bytes(range(32)))}
    platform = {"os": "linux", "arch": "x86_64", "shell": "/bin/sh", "encoding": "utf-8",
                "cwd": "/srv", "runtime": "node 20.20.2"}

    # session frames
    for side in (CLIENT, SERVER):
        one(f"HELLO of the {side}", side, "HELLO", hello(side, nonce(side)), **before)
        extra = hello(side, nonce(side), {"frame": 1024, "control": 0, "window": 0, "later": [1]},
                      features=["unheard-of"], later={"deep": [None, True, 1.5]})
        one(f"HELLO of the {side} with unknown fields and least limits", side, "HELLO", extra,
            **before)
        one(f"HELLO of the {side} with the largest numbers", side, "HELLO", hello(
            side, nonce(side),
            {"frame": MAX_NUMBER, "control": MAX_NUMBER, "window": 2 ** 31 - 1}), **before)
        one(f"CLOSE of the {side}", side, "CLOSE", {"code": "closed", "message": ""})
        one(f"CLOSE of the {side} before authentication", side, "CLOSE",
            {"code": "protocol_error", "message": "HELLO is not JSON"}, **before)
    one("PROOF of the client", CLIENT, "PROOF", proof, **before)
    one("PROOF of the server", SERVER, "PROOF", {**proof, "platform": platform}, **before)
    kept = {"id": b64(bytes(range(16))), "graceMs": 60000}
    one("HELLO of a client that can resume", CLIENT, "HELLO",
        hello(CLIENT, nonce(CLIENT), features=["resume"]), **before)
    one("PROOF of a server that keeps the session", SERVER, "PROOF",
        {**proof, "platform": platform, "session": kept}, **before)
    one("HELLO of a client that resumes", CLIENT, "HELLO",
        hello(CLIENT, nonce(CLIENT), features=["resume"],
              resume={"session": kept["id"], "received": 7}), **before)
    one("PROOF of a server that resumes", SERVER, "PROOF",
        {**proof, "platform": platform, "resumed": {"received": 5}}, **before)
    one("HELLO of a client that resumes inside a frame", CLIENT, "HELLO",
        hello(CLIENT, nonce(CLIENT), features=["resume"],
              resume={"session": kept["id"], "received": 7, "begun": 0}), **before)
    one("PROOF of a server that resumes inside a frame", SERVER, "PROOF",
        {**proof, "platform": platform, "resumed": {"received": 5, "begun": 65535}}, **before)
    one("CLOSE with a code of a later version", SERVER, "CLOSE",
        {"code": "unheard_of", "message": "…"})
    one("CLOSE whose message holds control characters", SERVER, "CLOSE",
        {"code": "closed", "message": "\u001b[2J\u0007\u009b\r\nä\U0001f41a\u202e"})
    going = {"code": "shutting_down", "message": "back in a minute"}
    one("GOAWAY", SERVER, "GOAWAY", {**going, "drainMs": 30000})
    one("GOAWAY without a time", SERVER, "GOAWAY", going)
    one("GOAWAY with unknown fields and another code", SERVER, "GOAWAY",
        {**going, "code": "unheard_of", "drainMs": 0, "later": [None]})
    text = compact({"code": "closed", "message": ""})
    fill = {"code": "closed", "message": "x" * (16384 - len(text))}
    one("a payload at the limit before authentication", SERVER, "CLOSE", fill, **before)
    spaced = b' {\n\t"message" : "\\u0061\\n" ,\r\n"code" : "closed" } '
    good("JSON with white space, escapes and another order", SERVER, frame("CLOSE", spaced),
         [show("CLOSE", {"message": "a\n", "code": "closed"})])

    # exec frames
    one("OPEN of a program", CLIENT, "OPEN", {"kind": "exec", "argv": ["true"]}, 1)
    one("OPEN of a line", CLIENT, "OPEN", {"kind": "exec", "line": "echo $HOME"}, 3)
    one("OPEN with every field", CLIENT, "OPEN", {
        "kind": "exec", "argv": ["printf", "%s\n", "", "ä\U0001f41a", "\"\\"], "cwd": "/srv",
        "env": {"LANG": "C.UTF-8", "EMPTY": ""}, "stdin": True, "stdout": True, "stderr": True,
        "merge": False, "timeoutMs": 30000, "killAfterMs": 1000, "drainMs": 0,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, 5)
    one("OPEN with unknown fields", CLIENT, "OPEN",
        {"kind": "exec", "argv": ["true"], "later": {"a": [None, 1]}}, 7)
    one("OPEN on the largest channel", CLIENT, "OPEN", {"kind": "exec", "argv": ["true"]},
        MAX_CHANNEL)
    one("STARTED", SERVER, "STARTED", {"pid": 4711}, 1)
    one("REFUSED", SERVER, "REFUSED", {"code": "not_found", "message": "no-such: not found"}, 1)
    one("DATA of stdin", CLIENT, "DATA", b"abc", 1, 0)
    one("DATA of stdout", SERVER, "DATA", b"hello\n", 1, 1)
    one("DATA of stderr", SERVER, "DATA", b"oops\n", 1, 2)
    one("DATA with every byte value", SERVER, "DATA", bytes(range(256)), 1, 1)
    one("DATA that looks like a frame", SERVER, "DATA", frame("STOP", b"", 1, 0), 1, 1)
    one("DATA that looks like a preface", CLIENT, "DATA", PREFACES[CLIENT], 1, 0)
    one("DATA without a byte", CLIENT, "DATA", b"", 1, 0)
    one("DATA at the limit", SERVER, "DATA", bytes(i * 7 % 256 for i in range(1024)), 1, 1,
        limits=SMALL)
    one("DATA on the largest channel", SERVER, "DATA", b"x", MAX_CHANNEL, 1)
    one("END of stdin without a byte", CLIENT, "END", {"bytes": 0}, 1, 0)
    one("END of stdout", SERVER, "END", {"bytes": 6}, 1, 1)
    one("END with the largest number", SERVER, "END", {"bytes": MAX_NUMBER}, 1, 1)
    one("END of a stream that is held open", SERVER, "END", {"bytes": 3, "heldOpen": True}, 1, 2)
    one("END of a stream that is not held open", SERVER, "END",
        {"bytes": 3, "heldOpen": False}, 1, 2)
    one("ABORT of stdin", CLIENT, "ABORT", {"code": "cancelled", "message": "gave up"}, 1, 0)
    one("ABORT of stdout", SERVER, "ABORT", {"code": "read_failed", "message": "EIO"}, 1, 1)
    for stream, side in ((0, SERVER), (1, CLIENT), (2, CLIENT)):
        one(f"CREDIT for stream {stream}", side, "CREDIT", struct.pack(">I", 131072), 1, stream)
        one(f"STOP of stream {stream}", side, "STOP", b"", 1, stream)
    one("the largest CREDIT", SERVER, "CREDIT", struct.pack(">I", 2 ** 31 - 1), 1, 0)
    one("CREDIT by which a window has grown", CLIENT, "CREDIT",
        struct.pack(">I", 2 ** 31 + 262144), 1, 1)
    for side in (CLIENT, SERVER):
        one(f"PING of the {side}", side, "PING", b"")
        one(f"PONG of the {side}", side, "PONG", b"")
        one(f"ACK of the {side}", side, "ACK", struct.pack(">Q", 3), resumable=True)
    one("ACK of more than 32 bits", SERVER, "ACK", struct.pack(">Q", 2 ** 32 + 5), resumable=True)
    one("SIGNAL", CLIENT, "SIGNAL", {"signal": "SIGINT"}, 1)
    one("SIGNAL to terminate", CLIENT, "SIGNAL", {"signal": "SIGTERM", "terminate": True}, 1)
    one("EXIT with code 0", SERVER, "EXIT", {"code": 0, "signal": None}, 1)
    one("EXIT with code 255", SERVER, "EXIT", {"code": 255, "signal": None}, 1)
    one("EXIT with a code of Windows", SERVER, "EXIT", {"code": 0xc000013a, "signal": None}, 1)
    one("EXIT with a signal", SERVER, "EXIT", {"code": None, "signal": "SIGKILL"}, 1)
    for reason in ("timed_out", "cancelled", "stdin_aborted", "disconnected", "shutting_down"):
        one(f"EXIT with the reason {reason}", SERVER, "EXIT",
            {"code": None, "signal": "SIGTERM", "reason": reason}, 1)

    one("OPEN of a job", CLIENT, "OPEN",
        {"kind": "exec", "argv": ["true"], "jobId": "build-7.a", "onDisconnect": "keep"}, 1)
    one("OPEN to attach", CLIENT, "OPEN",
        {"kind": "attach", "job": "build-7.a", "stdoutOffset": 2 ** 40, "follow": False}, 1)
    one("OPEN to ask", CLIENT, "OPEN", {"kind": "jobs", "op": "wait", "job": "build-7.a"}, 1)
    one("STARTED with a job id", SERVER, "STARTED", {"pid": 7, "jobId": "0tn4kmsj68z0"}, 1)
    one("STARTED of a job that can be fed", SERVER, "STARTED",
        {"pid": 7, "jobId": "x", "stdinOffset": 9}, 1)
    one("DETACH of the client", CLIENT, "DETACH", {}, 1)
    one("DETACH of the server", SERVER, "DETACH", {}, 1)
    one("DETACH with a reason", SERVER, "DETACH",
        {"code": "connection_lost", "message": "restarted"}, 1)
    one("DROPPED", SERVER, "DROPPED", {"stream": "stdout", "from": 4, "to": 2 ** 40}, 1)
    one("RESULT", SERVER, "RESULT", {"jobs": [], "more": False}, 1)

    # parts
    env = {"kind": "exec", "argv": ["env"], "env": {"A": "ä" * 900, "B": "b" * 600}}
    pieces = cut("OPEN", env, 1, 1024)
    good("OPEN in parts", CLIENT, pieces, [show("OPEN", env, 1)], limits=SMALL)
    body = compact(env)
    cut_at = body.index("ä".encode()) + 1
    good("parts that are cut inside a character", CLIENT,
         [frame("PART", body[:cut_at], 1), frame("PART", body[cut_at:cut_at + 1024], 1),
          frame("PART", body[cut_at + 1024:cut_at + 2000], 1),
          frame("OPEN", body[cut_at + 2000:], 1)], [show("OPEN", env, 1)], limits=SMALL)
    base = {"kind": "exec", "line": ""}
    full = {"kind": "exec", "line": "x" * (4096 - len(compact(base)))}
    pieces = cut("OPEN", full, 1, 1024)
    assert len(pieces) == 4 and len(compact(full)) == 4096
    good("parts that together reach the limit", CLIENT, pieces, [show("OPEN", full, 1)],
         limits=SMALL)
    message = {"code": "refused", "message": "m" * 2000}
    good("REFUSED in parts", SERVER, cut("REFUSED", message, 1, 1024), [show("REFUSED", message, 1)],
         limits=SMALL)
    good("frames of other channels before and after the parts", CLIENT,
         [frame("DATA", b"a", 1, 0), *cut("OPEN", env, 3, 1024), frame("DATA", b"b", 1, 0)],
         [show("DATA", b"a", 1, 0), show("OPEN", env, 3), show("DATA", b"b", 1, 0)], limits=SMALL)

    # hints of later versions
    good("unknown types from 128 up are ignored", SERVER,
         [frame(128, b"", 0), frame(255, b"not JSON", MAX_CHANNEL, 255), frame(200, b"x", 2, 9),
          frame("STARTED", {"pid": 1}, 1)], [show("STARTED", {"pid": 1}, 1)])
    good("an ignored frame at the limit", CLIENT, frame(128, bytes(1024), 1), [], limits=SMALL)

    # lengths
    def over(name, sender, kind, channel, stream, limit, **more):
        bad(f"{name}, one byte above the limit", sender, header(limit + 1, kind, channel, stream),
            error="limit_exceeded", known=10, **more)
        bad(f"{name}, claims 4 GiB", sender, header(2 ** 32 - 1, kind, channel, stream),
            error="limit_exceeded", known=10, **more)

    over("HELLO", CLIENT, "HELLO", 0, 0, 16384, **before)
    over("PROOF", SERVER, "PROOF", 0, 0, 16384, **before)
    over("DATA", SERVER, "DATA", 1, 1, 1024, limits=SMALL)
    over("OPEN", CLIENT, "OPEN", 1, 0, 1024, limits=SMALL)
    over("PART", CLIENT, "PART", 1, 0, 1024, limits=SMALL)
    over("an ignored type", CLIENT, 200, 1, 0, 1024, limits=SMALL)
    bad("CREDIT of three bytes", CLIENT, frame("CREDIT", b"\0\0\1", 1, 1), known=10)
    bad("CREDIT of five bytes", CLIENT, frame("CREDIT", b"\0\0\0\0\1", 1, 1), known=10)
    bad("CREDIT without a payload", CLIENT, frame("CREDIT", b"", 1, 1), known=10)
    bad("STOP with a payload", CLIENT, frame("STOP", b"{}", 1, 1), known=10)
    for kind in ("PING", "PONG"):
        for side in (CLIENT, SERVER):
            bad(f"{kind} of the {side} with a payload", side, frame(kind, b"{}"), known=10)
        bad(f"{kind} on channel 1", SERVER, frame(kind, b"", 1), known=10)
        bad(f"{kind} on stream 1", SERVER, frame(kind, b"", 0, 1), known=10)
        bad(f"{kind} before authentication", CLIENT, frame(kind), known=10, **before)

    # types, channels, streams
    for number in (0, 8, 10, 15, 29, 127):
        bad(f"unknown type {number}", SERVER, frame(number, b"{}", 1), known=10)
    bad("ACK in a session that cannot be resumed", SERVER, frame("ACK", bytes(8)), known=10)
    for kind, side in (("OPEN", CLIENT), ("STARTED", SERVER), ("REFUSED", SERVER),
                       ("SIGNAL", CLIENT), ("EXIT", SERVER), ("DROPPED", SERVER),
                       ("RESULT", SERVER)):
        other = SERVER if side == CLIENT else CLIENT
        bad(f"{kind} on channel 0", side, frame(kind, b"{}", 0), known=10)
        bad(f"{kind} from the {other}", other, frame(kind, b"{}", 1), known=10)
        bad(f"{kind} on stream 1", side, frame(kind, b"{}", 1, 1), known=10)
    bad("GOAWAY on channel 1", SERVER, frame("GOAWAY", b"{}", 1), known=10)
    bad("GOAWAY on stream 1", SERVER, frame("GOAWAY", b"{}", 0, 1), known=10)
    bad("GOAWAY from the client", CLIENT, frame("GOAWAY", going), known=10)
    for kind in ("HELLO", "PROOF", "CLOSE"):
        bad(f"{kind} on channel 1", SERVER, frame(kind, b"{}", 1), known=10, **before)
        bad(f"{kind} on stream 1", SERVER, frame(kind, b"{}", 0, 1), known=10, **before)
    for kind, payload in (("DATA", b"x"), ("END", {"bytes": 0}),
                          ("ABORT", {"code": "failed", "message": ""})):
        for side, stream in ((CLIENT, 0), (SERVER, 1)):
            bad(f"{kind} of the {side} on channel 0", side, frame(kind, payload, 0, stream),
                known=10)
        for side, streams in ((CLIENT, (1, 2, 3, 255)), (SERVER, (0, 3, 255))):
            for stream in streams:
                bad(f"{kind} of the {side} on stream {stream}", side,
                    frame(kind, payload, 1, stream), known=10)
    for kind, payload in (("CREDIT", b"\0\0\0\1"), ("STOP", b"")):
        for side, stream in ((CLIENT, 1), (SERVER, 0)):
            bad(f"{kind} of the {side} on channel 0", side, frame(kind, payload, 0, stream),
                known=10)
        for side, streams in ((CLIENT, (0, 3, 255)), (SERVER, (1, 2, 3, 255))):
            for stream in streams:
                bad(f"{kind} of the {side} on stream {stream}", side,
                    frame(kind, payload, 1, stream), known=10)

    # parts
    first = frame("PART", body[:1024], 1)
    rest = frame("OPEN", body[1024:2048], 1)
    known = len(first) + 10
    bad("PART before authentication", CLIENT, frame("PART", b"{", 0), known=10, **before)
    for name, sender, start, second in (
            ("PART of another channel", CLIENT, first, frame("PART", b"x", 3)),
            ("OPEN of another channel", CLIENT, first, frame("OPEN", {"kind": "exec"}, 3)),
            ("DATA of another channel", CLIENT, first, frame("DATA", b"x", 3, 0)),
            ("DATA of the same channel", CLIENT, first, frame("DATA", b"x", 1, 0)),
            ("CREDIT of the same channel", CLIENT, first, frame("CREDIT", b"\0\0\0\1", 1, 1)),
            ("STOP of the same channel", CLIENT, first, frame("STOP", b"", 1, 1)),
            ("PING", CLIENT, first, frame("PING")),
            ("an ignored type", CLIENT, first, frame(200, b"", 1))):
        bad(f"PART followed by {name}", sender, [start, second], known=known, limits=SMALL)
    parts = cut("OPEN", {"kind": "exec", "line": full["line"] + "x"}, 1, 1024)
    assert [len(part) for part in parts] == [1034] * 4 + [11]
    bad("parts that together exceed the limit by the last frame", CLIENT, parts,
        error="limit_exceeded", known=4 * 1034 + 10, limits=SMALL)
    parts[4] = frame("PART", b"x", 1)
    bad("parts that together exceed the limit by a PART", CLIENT, parts,
        error="limit_exceeded", known=4 * 1034 + 10, limits=SMALL)
    parts = cut("OPEN", {"kind": "exec", "line": "x" * 1500}, 1, 1024)
    parts[1] = frame("OPEN", b"}", 1)
    bad("parts that make no JSON", CLIENT, parts, "message", limits=SMALL)

    # JSON
    good_close = compact({"code": "closed", "message": "ok"})
    for name, payload in (
            ("empty", b""), ("cut off", good_close[:-1]), ("two objects", good_close * 2),
            ("a trailing comma", good_close[:-1] + b",}"), ("single quotes", b"{'code':'closed'}"),
            ("a byte-order mark", b"\xef\xbb\xbf" + good_close),
            ("a wrong UTF-8 byte", good_close.replace(b"ok", b"\xff")),
            ("an overlong UTF-8 form", good_close.replace(b"ok", b"\xc0\x80")),
            ("a surrogate in UTF-8", good_close.replace(b"ok", b"\xed\xa0\x80")),
            ("a line end in a string", good_close.replace(b"ok", b"\n")),
            ("NaN", good_close.replace(b'"ok"', b"NaN")), ("UTF-16", "{}".encode("utf-16-le"))):
        bad(f"bad JSON: {name}", SERVER, frame("CLOSE", payload), "message")
    for name, payload in (("an array", b"[]"), ("a string", b'"closed"'), ("a number", b"1"),
                          ("null", b"null"), ("true", b"true")):
        for side, kind, channel in ((SERVER, "CLOSE", 0), (SERVER, "EXIT", 1), (CLIENT, "OPEN", 1)):
            bad(f"{kind} is {name}, not an object", side, frame(kind, payload, channel), "message")

    def types(kind, side, right, wrong, channel=0, stream=0, **more):
        for field, values in wrong.items():
            for value in values:
                changed = json.loads(compact(right))
                target = changed
                *path, last = field.split(".")
                for key in path:
                    target = target[key]
                target[last] = value
                bad(f"{kind} of the {side}: {field} is {compact(value).decode()}", side,
                    frame(kind, changed, channel, stream), "message", **more)
        for field in [key for key in wrong if "." not in key and key in right]:
            if field not in ("heldOpen", "terminate", "reason", "drainMs", "resume"):
                changed = {key: value for key, value in right.items() if key != field}
                bad(f"{kind} of the {side}: {field} is missing", side,
                    frame(kind, changed, channel, stream), "message", **more)

    number = [-1, 1.5, "1", True, None, 2 ** 53]
    reason = {"code": [1, None, ["closed"]], "message": [1, False, {}]}
    shared = {"nonce": [1, "", b64(bytes(31)), b64(bytes(33)), b64(bytes(32)) + "=",
                        b64(b"\xff" * 32).replace("_", "/"), " " + b64(bytes(32))],
              "limits": [None, [], 65536], "limits.frame": number + [1023, 0],
              "limits.control": number, "limits.window": number,
              "features": ["", {}, 1], "software": [1, {}]}
    types("HELLO", CLIENT, hello(CLIENT, nonce(CLIENT)),
          {"min": number, "max": number, **shared}, **before)
    types("HELLO", CLIENT, hello(CLIENT, nonce(CLIENT), features=["resume"],
                                 resume={"session": kept["id"], "received": 0, "begun": 0}),
          {"resume": [None, [], kept["id"]], "resume.session": [1, None, "A" * 65],
           "resume.received": number, "resume.begun": number}, **before)
    types("HELLO", SERVER, hello(SERVER, nonce(SERVER)), {"version": number, **shared}, **before)
    wrong_proof = [1, None, "", b64(bytes(31)), b64(bytes(33)), b64(bytes(32)) + "=", "!" * 43]
    types("PROOF", CLIENT, proof, {"proof": wrong_proof}, **before)
    types("PROOF", SERVER, {**proof, "platform": platform}, {"proof": wrong_proof}, **before)
    types("CLOSE", SERVER, {"code": "closed", "message": ""}, reason)
    types("GOAWAY", SERVER, {**going, "drainMs": 1}, {**reason, "drainMs": number})
    types("STARTED", SERVER, {"pid": 1}, {"pid": number}, 1)
    types("REFUSED", SERVER, {"code": "refused", "message": ""}, reason, 1)
    types("ABORT", SERVER, {"code": "failed", "message": ""}, reason, 1, 1)
    types("END", SERVER, {"bytes": 1, "heldOpen": True},
          {"bytes": number, "heldOpen": [1, "true"]}, 1, 1)
    types("SIGNAL", CLIENT, {"signal": "SIGINT", "terminate": True},
          {"signal": [2, None, []], "terminate": [1, "yes"]}, 1)
    types("EXIT", SERVER, {"code": 0, "signal": None, "reason": "timed_out"},
          {"code": [-1, 1.5, "0", True, None], "signal": [9, "SIGKILL", False],
           "reason": [1, {}]}, 1)
    # the missing "code" and "signal" of EXIT are not spelt out by the page
    invalid[:] = [case for case in invalid
                  if not case["name"].startswith("EXIT of the server: ")
                  or not case["name"].endswith(" is missing")]

    # OPENs that are refused while the session goes on
    refused = []

    def refuse(name, value):
        refused.append({"name": name, "from": CLIENT, **sides, "channel": 1,
                        "hex": frame("OPEN", value, 1).hex(), "refused": "invalid_argument"})

    run = {"kind": "exec", "argv": ["true"]}
    refuse("no kind", {"argv": ["true"]})
    refuse("neither argv nor line", {"kind": "exec"})
    refuse("both argv and line", {**run, "line": "true"})
    refuse("empty argv", {**run, "argv": []})
    refuse("NUL in argv", {**run, "argv": ["echo", "a\0b"]})
    refuse("NUL in the line", {"kind": "exec", "line": "echo a\0b"})
    refuse("NUL in cwd", {**run, "cwd": "/\0"})
    refuse("NUL in a name of env", {**run, "env": {"A\0": "1"}})
    refuse("NUL in a value of env", {**run, "env": {"A": "\0"}})
    for field, values in (("kind", (1, None)), ("argv", ("true", ["true", 1], {})),
                          ("cwd", (1, [])), ("env", ([], "A=1", {"A": 1}, {"A": None})),
                          ("stdin", (1, "true")), ("stdout", (0,)), ("stderr", ("no",)),
                          ("merge", (1,)), ("timeoutMs", (-1, 1.5, "1")),
                          ("killAfterMs", (-1, "1")), ("drainMs", (-1, True)),
                          ("traceparent", (1, None))):
        for value in values:
            refuse(f"{field} is {compact(value).decode()}", {**run, field: value})
    refuse("line is 1", {"kind": "exec", "line": 1})
    # deeper than a reader that calls itself for every list can go
    deep = b"[" * 20000 + b"]" * 20000
    refuse("kind is a list 20,000 deep", b'{"argv":["true"],"kind":' + deep + b"}")
    refuse("argv is a list 20,000 deep", b'{"kind":"exec","argv":' + deep + b"}")
    return {"types": NUMBERS, "valid": valid, "invalid": invalid, "refused": refused}


# ---- handshake.json --------------------------------------------------------------------


def mac(token, *parts):
    return hmac.new(token.encode("utf-8"), b"".join(parts), hashlib.sha256).digest()


def token_id(token):
    return "token:" + b64(mac(token, b"limpet/1 token id\0")[:12])


class Handshake:
    """Both HELLO frames and what follows from them."""

    def __init__(self, label, token=TOKEN, client=None, server=None, server_token=None,
                 binding=b""):
        self.token, self.server_token = token, token if server_token is None else server_token
        self.nonces = {CLIENT: nonce(f"client, {label}"), SERVER: nonce(f"server, {label}")}
        self.client = client or frame("HELLO", hello(CLIENT, self.nonces[CLIENT]))
        self.server = server or frame("HELLO", hello(SERVER, self.nonces[SERVER]))
        self.binding = binding
        self.transcript = hashlib.sha256(self.client + self.server + binding).digest()
        self.client_proof = mac(token, b"limpet/1 client proof\0", self.transcript)
        self.server_proof = mac(self.server_token, b"limpet/1 server proof\0", self.transcript,
                                self.client_proof)

    def proofs(self):
        return ({"key": token_id(self.token), "proof": b64(self.client_proof)}, {"proof": b64(self.server_proof), "platform": {
            "os": "linux", "arch": "x86_64", "shell": "/bin/sh", "encoding": "utf-8",
            "cwd": "/srv", "runtime": "vectors"}})


# Ed25519, RFC 8032 section 5.1, in affine coordinates: slow, and short enough to check.
P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    product = D * a[0] * b[0] * a[1] * b[1]
    return ((a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P)


def multiply(number, point):
    result = (0, 1)
    for bit in bin(number)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def base_point():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x, y)


def packed(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


class Signer:
    def __init__(self, seed):
        self.seed, digest = seed, hashlib.sha512(seed).digest()
        self.prefix = digest[32:]
        self.scalar = int.from_bytes(digest[:32], "little") & (2 ** 254 - 8) | 2 ** 254
        self.public = packed(multiply(self.scalar, base_point()))
        self.text = "ed25519:" + b64(self.public)

    def sign(self, message):
        def number(*parts):
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER
        secret = number(self.prefix, message)
        first = packed(multiply(secret, base_point()))
        second = (secret + number(first, self.public, message) * self.scalar) % ORDER
        return first + second.to_bytes(32, "little")


# RFC 8032 section 7.1, TEST 2: if this is wrong, so is all that is signed here.
RFC8032 = Signer(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
assert RFC8032.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
assert RFC8032.sign(b"r").hex() == (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")


def key_pair_cases():
    """Handshakes of clients that have a key pair."""
    cases = []
    alice, host, other = (Signer(hashlib.sha256(name).digest())
                          for name in (b"alice", b"host", b"another host"))

    def case(name, wrong=None, signer=alice, server_signer=host, over=None):
        label = f"key pair, {name}"
        client = hello(CLIENT, nonce(f"client, {label}"), features=["ed25519"])
        server = hello(SERVER, nonce(f"server, {label}"), hostKey=host.text)
        hellos = frame("HELLO", client) + frame("HELLO", server)
        transcript = hashlib.sha256(hellos).digest()
        mine = signer.sign(b"limpet/1 client proof\0" + (over or transcript))
        theirs = server_signer.sign(b"limpet/1 server proof\0" + transcript + mine)
        cases.append({
            "name": name, "clientSeed": alice.seed.hex(), "hostSeed": host.seed.hex(),
            "clientKey": alice.text, "hostKey": host.text,
            "clientHello": frame("HELLO", client).hex(), "serverHello": frame("HELLO", server).hex(),
            "transcript": transcript.hex(), "clientProof": mine.hex(), "serverProof": theirs.hex(),
            "clientProofFrame": frame("PROOF", {"key": alice.text, "proof": b64(mine)}).hex(),
            **({"wrong": wrong} if wrong else {})})

    case("the usual")
    case("the client has another key", CLIENT, signer=other)
    case("the client signed another transcript", CLIENT, over=bytes(32))
    case("the server has another key", SERVER, server_signer=other)
    return cases


def handshake_file():
    cases = []

    def case(name, shake, result=None):
        client, server = shake.proofs()
        cases.append({
            "name": name, "token": shake.token, "tokenId": token_id(shake.token),
            "binding": shake.binding.hex(), "nonces": {side: value.hex() for side, value in shake.nonces.items()},
            "clientHello": shake.client.hex(), "serverHello": shake.server.hex(),
            "transcript": shake.transcript.hex(),
            "clientProof": shake.client_proof.hex(), "serverProof": shake.server_proof.hex(),
            "clientProofFrame": frame("PROOF", client).hex(),
            "serverProofFrame": frame("PROOF", server).hex(), **(result or {"verifies": True})})

    case("the usual", Handshake("usual"))
    case("the shortest token", Handshake("shortest", "0123456789abcdef"))
    case("a token longer than a block of SHA-256", Handshake("long", "0123456789" * 10))
    case("a token that is not ASCII", Handshake("utf-8", "pässwörter 🐚"))
    case("a token is used as it stands, white space too",
         Handshake("white space", " 0123456789abcdef\n"))
    label = "bytes as sent"
    spaced = json.dumps({"later": [1], **hello(CLIENT, nonce(f"client, {label}"))}, indent=2)
    reverse = dict(reversed(list(hello(SERVER, nonce(f"server, {label}")).items())))
    case("the transcript is over the bytes as they were sent", Handshake(
        label, client=frame("HELLO", spaced.encode()), server=frame("HELLO", reverse)))
    limits = {"frame": 1024, "control": 4096, "window": 1}
    label = "other limits"
    case("other limits give another transcript", Handshake(
        label, client=frame("HELLO", hello(CLIENT, nonce(f"client, {label}"), limits)),
        server=frame("HELLO", hello(SERVER, nonce(f"server, {label}"), limits))))

    for name in ("tls-exporter", "tls-server-certificate"):
        label = f"bound to {name}"
        case(label, Handshake(
            label, binding=hashlib.sha256(name.encode()).digest(),
            client=frame("HELLO", hello(CLIENT, nonce(f"client, {label}"), bindings=[name])),
            server=frame("HELLO", hello(SERVER, nonce(f"server, {label}"), binding=name))))
    label = "another connection"
    shake = Handshake(label, binding=bytes(32))
    shake.server_proof = Handshake(label, binding=bytes([1] * 32)).server_proof
    case("the server's proof is bound to another connection", shake,
         {"verifies": False, "wrong": SERVER})

    close = {"code": "unauthenticated", "message": "Authentication failed"}
    shake = Handshake("wrong token")
    wrong = Handshake("wrong token", "not the token of the server", shake.client, shake.server)
    case("the client has a wrong token", shake, {
        "verifies": False, "wrong": CLIENT, "clientProof": wrong.client_proof.hex(),
        "clientProofFrame": frame("PROOF", wrong.proofs()[0]).hex(),
        "serverProof": None,
        "serverProofFrame": None, "serverCloseFrame": frame("CLOSE", close).hex()})
    shake = Handshake("wrong server", server_token="not the token of the client")
    case("the server has a wrong token", shake, {"verifies": False, "wrong": SERVER})
    for name, proof in (("the server sends the client's proof back", shake.client_proof),
                        ("the server's proof leaves the client's out", mac(
                            TOKEN, b"limpet/1 server proof\0", shake.transcript)),
                        ("the last bit of the server's proof is wrong", None)):
        shake = Handshake("wrong server")
        if proof is None:
            proof = shake.server_proof[:-1] + bytes([shake.server_proof[-1] ^ 1])
        shake.server_proof = proof
        case(name, shake, {"verifies": False, "wrong": SERVER})
    return {"labels": {CLIENT: b"limpet/1 client proof\0".hex(),
                       SERVER: b"limpet/1 server proof\0".hex()}, "cases": cases,
            "keyPairs": key_pair_cases()}


# ---- sessions.json ---------------------------------------------------------------------


class Conversation:
    """Collects what both sides send, in an order in which it could have been sent."""

    def __init__(self, name, description, request=None, limits=None, shake=True, **more):
        limits = limits or {}
        self.shake = Handshake(name, **more)
        for side in (CLIENT, SERVER):
            changed = {"frame": 65536, "control": 4194304, "window": 262144,
                       **limits.get(side, {})}
            setattr(self.shake, side, frame("HELLO", hello(side, self.shake.nonces[side], changed)))
            limits[side] = changed
        self.shake = Handshake(name, client=self.shake.client, server=self.shake.server, **more)
        self.out = {"name": name, "description": description, "token": self.shake.token,
                    "nonces": {side: self.shake.nonces[side].hex() for side in self.shake.nonces},
                    "limits": {side: limits[side] for side in (CLIENT, SERVER)},
                    "request": request, "stdin": None, "steps": []}
        self.limits = limits
        if shake:
            self.hellos()
            self.send(CLIENT, ("PROOF", self.shake.proofs()[0]),
                      *([("OPEN", request, 1)] if request else []))
            self.send(SERVER, ("PROOF", self.shake.proofs()[1]))

    def hellos(self):
        self.raw(CLIENT, PREFACES[CLIENT] + self.shake.client)
        self.raw(SERVER, PREFACES[SERVER] + self.shake.server)
        return self

    def raw(self, side, data, note=None, messages=()):
        step = {"from": side, "hex": data.hex(), "messages": list(messages)}
        if note:
            step["note"] = note
        self.out["steps"].append(step)
        return self

    def send(self, side, *messages, note=None):
        other = SERVER if side == CLIENT else CLIENT
        data = b""
        for kind, payload, *place in messages:
            channel, stream = (place + [0, 0])[:2]
            if isinstance(payload, dict) and kind != "PROOF":
                data += b"".join(cut(kind, payload, channel, self.limits[other]["frame"], stream))
            else:
                data += frame(kind, payload, channel, stream)
        return self.raw(side, data, note, [show(*message) for message in messages])

    def client(self, *messages, note=None):
        return self.send(CLIENT, *messages, note=note)

    def server(self, *messages, note=None):
        return self.send(SERVER, *messages, note=note)

    def finish(self, **result):
        if "status" in result and not result.pop("unclosed", False):
            self.client(("CLOSE", {"code": "closed", "message": ""}))
        self.out["result"] = result
        for side in (CLIENT, SERVER):
            self.out[side] = "".join(s["hex"] for s in self.out["steps"] if s["from"] == side)
        return self.out


def data(text, stream=1, channel=1):
    return ("DATA", text, channel, stream)


def end(count, stream=1, channel=1, **more):
    return ("END", {"bytes": count, **more}, channel, stream)


def ends(out=0, err=0):
    return end(out, 1), end(err, 2)


def started(channel=1):
    return ("STARTED", {"pid": 4711 + channel // 2}, channel)


def exited(code=0, sig=None, channel=1, **more):
    return ("EXIT", {"code": code, "signal": sig, **more}, channel)


def credit(count, stream, channel=1):
    return ("CREDIT", struct.pack(">I", count), channel, stream)


def sessions_file():
    run, line = (lambda *argv, **more: {"kind": "exec", "argv": list(argv), **more},
                 lambda text, **more: {"kind": "exec", "line": text, **more})
    out, C = [], Conversation

    def done(talk, status, stdout=b"", stderr=b"", **more):
        out.append(talk.finish(status=status, stdout=stdout.hex(), stderr=stderr.hex(), **more))

    done(C("hello", "One program, one line of output.", run("echo", "hello")).server(
        started(), data(b"hello\n"), *ends(6), exited()), 0, b"hello\n")
    done(C("code", "A line for the shell that writes to both streams and fails.",
           line("echo out; echo err >&2; exit 3")).server(
        started(), data(b"out\n"), data(b"err\n", 2), end(4, 2), end(4), exited(3)),
        3, b"out\n", b"err\n")
    done(C("exit first", "EXIT may come before the output and before the ends of the streams.",
           run("printf", "slow")).server(started(), exited()).server(
        end(0, 2), data(b"sl")).server(data(b"ow"), end(4)), 0, b"slow")
    talk = C("stdin", "stdin is streamed and then ended; cat sends it back.",
             run("cat", stdin=True))
    talk.out["stdin"] = b"abc".hex()
    done(talk.client(data(b"abc", 0), end(3, 0)).server(
        started(), data(b"abc"), exited(), *ends(3)), 0, b"abc")
    talk = C("empty stdin", "stdin is announced and holds nothing.", run("cat", stdin=True))
    talk.out["stdin"] = ""
    done(talk.client(end(0, 0)).server(started(), exited(), *ends()), 0)
    done(C("merge", "stderr goes into stdout at the source; there is no stream 2.",
           line("echo a; echo b >&2; echo c", merge=True)).server(
        started(), data(b"a\nb\n"), data(b"c\n"), end(6), exited()), 0, b"a\nb\nc\n")
    done(C("every byte", "Output is bytes, not text, and an empty DATA means nothing.",
           run("cat", "/srv/bytes")).server(
        started(), data(bytes(range(256))), data(b""), *ends(256), exited()),
        0, bytes(range(256)))
    done(C("signal", "The command was killed; a client exits with 128+9.",
           run("sleep", "100")).server(started(), exited(None, "SIGKILL"), *ends()), 137)
    done(C("timed out", "The server ended the command after timeoutMs; a client exits with 124.",
           run("sleep", "100", timeoutMs=1500)).server(
        started(), exited(None, "SIGTERM", reason="timed_out"), *ends()), 124)
    for code, status, request in (("not_found", 127, run("no-such-program")),
                                  ("not_executable", 126, run("/etc/passwd")),
                                  ("limit_exceeded", 125, run("true")),
                                  ("unheard_of", 125, run("true"))):
        done(C(f"refused: {code}", "The server does not start the command.", request).server(
            ("REFUSED", {"code": code, "message": "\u001b[31mno\u0007"}, 1)), status)
    done(C("held open", "Something that the command left behind still held stdout.",
           line("sleep 100 & echo hi")).server(
        started(), data(b"hi\n"), exited(), end(3, heldOpen=True), end(0, 2, heldOpen=True)),
        0, b"hi\n")
    done(C("window of the client", "The client grants credit when it has consumed half a window.",
           run("printf", "0123456789abcdefghij"), {CLIENT: {"window": 16}}).server(
        started(), data(b"0123456"), data(b"789")).client(credit(10, 1)).server(
        data(b"abcdefghij"), note="10 bytes on top of the 6 that were left").client(
        credit(10, 1)).server(*ends(20), exited()), 0, b"0123456789abcdefghij")
    talk = C("window of the server", "The client stops at the window until CREDIT comes; the"
             " frame limit cuts nothing here.", run("wc", "-c", stdin=True),
             {SERVER: {"window": 8}})
    talk.out["stdin"] = b"0123456789abcdefghij".hex()
    done(talk.client(data(b"01234567", 0)).server(started(), credit(8, 0)).client(
        data(b"89abcdef", 0)).server(credit(8, 0)).client(
        data(b"ghij", 0), end(20, 0)).server(data(b"20\n"), exited(), *ends(3)), 0, b"20\n")
    done(C("ping", "The server asks whether the client is there while the command is silent.",
           run("sleep", "60")).server(started(), ("PING", b"")).client(("PONG", b"")).server(
        ("PING", b""), ("PING", b"")).client(("PONG", b""), ("PONG", b"")).server(
        exited(), *ends()), 0)
    done(C("pong unasked", "PONG is a sign of life that needs no question.",
           run("echo", "hi")).server(("PONG", b""), started(), data(b"hi\n"), ("PONG", b""),
                                     exited(), *ends(3)), 0, b"hi\n")
    talk = C("no window", "A window of 0: nothing may be sent before the first CREDIT.",
             run("cat", stdin=True), {SERVER: {"window": 0}})
    talk.out["stdin"] = b"x".hex()
    done(talk.server(started()).server(credit(1, 0)).client(data(b"x", 0)).server(
        credit(1, 0)).client(end(1, 0)).server(
        data(b"x"), *ends(1), exited()), 0, b"x")
    talk = C("a window that grows", "A window of 0 that is one byte larger then.",
             run("cat", stdin=True), {SERVER: {"window": 0}})
    talk.out["stdin"] = b"x".hex()
    done(talk.server(started()).server(credit(2 ** 31 + 1, 0)).client(data(b"x", 0)).server(
        credit(1, 0)).client(end(1, 0)).server(
        data(b"x"), *ends(1), exited()), 0, b"x")
    done(C("parts", "OPEN is longer than the server's frame limit; so is the server's REFUSED.",
           run("echo", "ä" * 1200), {SERVER: {"frame": 1024}, CLIENT: {"frame": 2000}}).server(
        ("REFUSED", {"code": "refused", "message": "m" * 2500}, 1)), 125)
    talk = C("stdin stopped", "The command ends without reading its input: STOP; the client"
             " ends the stream with what it did send.", run("true", stdin=True),
             {SERVER: {"window": 4}})
    talk.out["stdin"] = b"0123456789".hex()
    done(talk.client(data(b"0123", 0)).server(started(), ("STOP", b"", 1, 0)).client(
        end(4, 0)).server(exited(), *ends()), 0)
    talk = C("hints", "Frames of unknown types from 128 up are ignored.", run("true"))
    talk.raw(SERVER, frame(128, b"hint") + frame("STARTED", {"pid": 1}, 1)
             + frame(255, b"", 1, 7) + b"".join(frame(*f) for f in (exited(), *ends())),
             messages=[show("STARTED", {"pid": 1}, 1)] + [show(*f) for f in (exited(), *ends())])
    done(talk, 0)

    # no result, through no fault of the client
    done(C("stdout aborted", "The server could not read on: stdout is not complete.",
           run("cat", "/dev/bad")).server(
        started(), data(b"par"), ("ABORT", {"code": "read_failed", "message": "EIO"}, 1, 1),
        end(0, 2), exited()), 255, b"par")
    done(C("bytes lost", "The END of stdout does not match what came.", run("echo", "x")).server(
        started(), data(b"x\n"), *ends(3), exited()), 255, b"x\n")
    done(C("cut before EXIT", "The connection ends: the outcome is unknown.",
           run("echo", "x")).server(started(), data(b"x\n"), *ends(2), note="then the stream ends"),
         255, b"x\n", unclosed=True)
    done(C("cut before END", "The connection ends: stdout is not complete.",
           run("echo", "x")).server(started(), data(b"x"), exited(), end(0, 2),
                                    note="then the stream ends"), 255, b"x", unclosed=True)
    done(C("server goes away", "CLOSE is answered with nothing but the end of the stream.",
           run("sleep", "100")).server(started(), (
               "CLOSE", {"code": "shutting_down", "message": "back in a minute"})),
         255, unclosed=True)
    talk = C("going down", "GOAWAY: the command goes on to its end; then the client leaves.",
             run("cat", stdin=True))
    talk.out["stdin"] = b"on and on".hex()
    going = {"code": "shutting_down", "message": "back in a minute", "drainMs": 30000}
    done(talk.client(data(b"on and on", 0), end(9, 0)).server(
        started(), data(b"on "), ("GOAWAY", going), data(b"and on"), ("GOAWAY", going),
        exited(5), *ends(9)), 5, b"on and on")
    done(C("an OPEN that crosses GOAWAY", "It is refused, and has not run.", run("true")).server(
        ("GOAWAY", going), ("REFUSED", {"code": "shutting_down", "message": "too late"}, 1)), 125)
    talk = C("wrong token", "The client's proof does not verify.", shake=False).hellos()
    talk.out["request"] = run("true")
    wrong = Handshake("x", "another token, of another server", talk.shake.client,
                      talk.shake.server)
    talk.out["clientToken"] = wrong.token
    talk.client(("PROOF", wrong.proofs()[0]), ("OPEN", run("true"), 1)).server(
        ("CLOSE", {"code": "unauthenticated", "message": "Authentication failed"}))
    done(talk, 255, unclosed=True)
    talk = C("version mismatch", "The server has no version in common with the client.",
             shake=False)
    talk.out["request"] = run("true")
    talk.raw(CLIENT, PREFACES[CLIENT] + talk.shake.client)
    message = {"code": "version_mismatch", "message": "this server speaks 2"}
    talk.raw(SERVER, PREFACES[SERVER] + frame("CLOSE", message), messages=[show("CLOSE", message)])
    done(talk, 255, unclosed=True)
    talk = C("not a server", "Something else answers; nothing of it is interpreted.", shake=False)
    talk.out["request"] = run("true")
    talk.raw(CLIENT, PREFACES[CLIENT] + talk.shake.client)
    talk.raw(SERVER, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    done(talk, 255, unclosed=True)

    # more than one command
    talk = C("two commands", "Two channels; what comes for a channel that has ended is ignored.")
    talk.client(("OPEN", run("cat", stdin=True), 1), ("OPEN", run("echo", "b"), 5))
    talk.server(started(5), started(1), data(b"b\n", 1, 5), exited(channel=5))
    talk.client(data(b"a", 0, 1))
    talk.server(end(2, 1, 5), end(0, 2, 5), data(b"a"))
    talk.client(("SIGNAL", {"signal": "SIGINT"}, 5), credit(2, 1, 5), ("STOP", b"", 5, 2),
                note="channel 5 has ended: ignored")
    talk.client(end(1, 0)).server(*ends(1), exited())
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())
    talk = C("stdout stopped", "yes | head -1: the reader wants no more, the command gets SIGPIPE.",
             run("yes"), {CLIENT: {"window": 8}}).server(started(), data(b"y\n" * 4))
    talk.client(("STOP", b"", 1, 1)).server(end(8), end(0, 2), exited(None, "SIGPIPE"))
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())
    talk = C("terminate", "The client has the command ended.", run("sleep", "100"))
    talk.server(started())
    talk.client(("SIGNAL", {"signal": "SIGTERM", "terminate": True}, 1))
    talk.server(*ends(), exited(None, "SIGTERM", reason="cancelled"))
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())
    talk = C("stdin aborted", "The rest of the input is missing: the server ends the command.",
             run("cat", stdin=True))
    talk.client(data(b"a", 0), ("ABORT", {"code": "cancelled", "message": "gave up"}, 1, 0))
    talk.server(started(), data(b"a"), *ends(1), exited(None, "SIGTERM", reason="stdin_aborted"))
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())
    talk = C("only stderr", "stdout is not wanted, so it has neither DATA nor END.",
             line("echo a; echo b >&2", stdout=False))
    talk.server(started(), data(b"b\n", 2), end(2, 2), exited())
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())
    talk = C("refused and on", "A wrong OPEN is refused and the session goes on.", run())
    talk.server(("REFUSED", {"code": "invalid_argument", "message": "argv is empty"}, 1))
    talk.client(("OPEN", run("true"), 3)).server(
        started(3), exited(channel=3), end(0, 1, 3), end(0, 2, 3))
    out.append(talk.client(("CLOSE", {"code": "closed", "message": ""})).finish())

    # one side breaks a rule in the last step; the other closes with the code
    broken = []

    def breaks(side, talk, code="protocol_error"):
        closer = CLIENT if side == SERVER else SERVER
        talk.out["brokenBy"] = side
        broken.append(talk.finish(close={"by": closer, "code": code}))

    echo, cat = run("echo", "x"), run("cat", stdin=True)

    def by_server(name, description, *messages, request=None, code="protocol_error", **more):
        talk = C(name, description, request or echo, **more)
        breaks(SERVER, talk.server(*messages), code)

    def before_proof(name, description, *messages, code="protocol_error"):
        talk = C(name, description, shake=False).hellos()
        talk.out["request"] = echo
        talk.client(("PROOF", talk.shake.proofs()[0]), ("OPEN", echo, 1))
        breaks(SERVER, talk.server(*messages), code)

    before_proof("STARTED before PROOF", "The server has not proved anything yet.", started())
    before_proof("HELLO for PROOF", "A second HELLO.", (
        "HELLO", hello(SERVER, nonce("second"))))
    before_proof("wrong proof of the server", "The server does not have the token.", (
        "PROOF", {"proof": b64(bytes(32))}), code="unauthenticated")
    shake = Handshake("reflected")
    before_proof("proof of another session", "A recorded proof is worth nothing.", (
        "PROOF", {"proof": b64(shake.server_proof)}), code="unauthenticated")
    talk = C("PROOF for HELLO", "The server begins with PROOF.", shake=False)
    talk.out["request"] = echo
    talk.raw(CLIENT, PREFACES[CLIENT] + talk.shake.client)
    proof = {"proof": b64(bytes(32))}
    breaks(SERVER, talk.raw(SERVER, PREFACES[SERVER] + frame("PROOF", proof),
                            messages=[show("PROOF", proof)]))
    by_server("second PROOF", "The handshake is over.", ("PROOF", proof))
    by_server("DATA for no channel", "Channel 3 was never opened.", started(), data(b"x", 1, 3))
    by_server("STARTED for no channel", "Channel 3 was never opened.", started(3))
    by_server("channel of the server", "Even numbers are not in use.", started(2))
    by_server("STARTED twice", "A command starts once.", started(), started())
    by_server("REFUSED after STARTED", "It has started.", started(),
              ("REFUSED", {"code": "refused", "message": ""}, 1))
    by_server("EXIT before STARTED", "It has not started.", exited())
    by_server("DATA before STARTED", "It has not started.", data(b"x"))
    by_server("EXIT twice", "A command ends once.", started(), exited(), exited())
    by_server("DATA after END", "The stream has ended.", started(), *ends(), data(b"x"))
    by_server("END twice", "The stream has ended.", started(), end(0), end(0))
    by_server("ABORT after END", "The stream has ended.", started(), end(0), (
        "ABORT", {"code": "failed", "message": ""}, 1, 1))
    by_server("stderr of a merged command", "There is no stream 2.", started(), data(b"x", 2),
              request=line("true", merge=True))
    by_server("beyond the window", "DATA beyond the window.", started(), data(b"x" * 17),
              code="limit_exceeded", limits={CLIENT: {"window": 16}})
    by_server("too much credit", "Outstanding credit reaches 2^31.", started(),
              credit(2 ** 31 - 1 - 262144, 0), credit(1, 0),
              request=cat, code="limit_exceeded")
    by_server("CREDIT for no stdin", "The client did not announce stdin.", started(), credit(1, 0))
    by_server("OPEN by the server", "Only clients open channels.", ("OPEN", echo, 2))

    def by_client(name, description, *messages, request=None, code="protocol_error", answer=(),
                  **more):
        talk = C(name, description, request, **more)
        if answer:
            talk.server(*answer)
        breaks(CLIENT, talk.client(*messages), code)

    talk = C("OPEN before PROOF", "The client has not proved anything yet.", shake=False).hellos()
    breaks(CLIENT, talk.client(("OPEN", echo, 1)))
    talk = C("second HELLO", "The client says HELLO twice.", shake=False).hellos()
    breaks(CLIENT, talk.client(("HELLO", hello(CLIENT, nonce("second")))))
    by_client("PROOF again", "The handshake is over.", ("PROOF", proof))
    by_client("OPEN with an even number", "Even numbers are the server's.", ("OPEN", echo, 2))
    by_client("OPEN with a smaller number", "Numbers only grow.", ("OPEN", echo, 5),
              ("OPEN", echo, 3))
    by_client("OPEN with the same number", "A number is used once.", ("OPEN", echo, 1),
              ("OPEN", echo, 1))
    by_client("stdin for no channel", "Channel 1 was never opened.", data(b"x", 0))
    by_client("SIGNAL for no channel", "Channel 3 was never opened.", (
        "SIGNAL", {"signal": "SIGINT"}, 3), request=echo)
    by_client("stdin beyond the window", "DATA beyond the window.", data(b"x" * 9, 0),
              request=cat, code="limit_exceeded", limits={SERVER: {"window": 8}})
    by_client("stdin after END", "The stream has ended.", end(0, 0), data(b"x", 0), request=cat,
              answer=(started(),))
    by_client("too much credit for stdout", "Outstanding credit reaches 2^31.",
              credit(2 ** 31 - 1, 1), request=run("sleep", "100"), code="limit_exceeded")
    by_client("a window for stdout that grows too much", "Outstanding credit reaches 2^31.",
              credit(2 ** 32 - 1, 1), request=run("sleep", "100"), code="limit_exceeded")
    return {"sessions": out, "broken": broken}


# ---- resume.json -----------------------------------------------------------------------


def whole_frames(frames, count):
    """How many of the frames that have a number lie within so many bytes."""
    numbered = end = 0
    for each in frames:
        end += len(each)
        if end > count:
            break
        numbered += each[4] != NUMBERS["ACK"]
    return numbered


def begun_bytes(frames, count):
    """Of a DATA frame that ends beyond so many bytes: what of its payload lies before."""
    for each in frames:
        if count < len(each):
            return max(0, count - 10) if each[4] == NUMBERS["DATA"] else 0
        count -= len(each)
    return 0


def without(frames, begun):
    """The frames' bytes, without so many at the beginning of the first one's payload."""
    if begun == 0:
        return b"".join(frames)
    first, *rest = frames
    return b"".join([struct.pack(">I", len(first) - 10 - begun), first[4:10],
                     first[10 + begun:], *rest])


def resume_file():
    def ack(count):
        return frame("ACK", struct.pack(">Q", count))

    def data_frame(payload, stream, channel=1):
        return frame("DATA", payload, channel, stream)

    cases = []

    def case(name, side, frames):
        numbered = [each for each in frames if each[4] != NUMBERS["ACK"]]
        size = sum(map(len, frames))
        edges, at = set(), 0
        for each in frames:
            edges |= {at, at + 1, at + 9, at + 10, at + len(each) - 1}
            at += len(each)
        cuts = []
        for count in sorted(edge for edge in edges | {size} if edge <= size):
            received = whole_frames(frames, count)
            again = b"".join(numbered[received:])
            begun = begun_bytes(frames, count)
            half = len(again) // 2
            cuts.append({
                "bytes": count, "received": received, "again": again.hex(), "begun": begun,
                "rest": without(numbered[received:], begun).hex(),
                "then": {"bytes": half,
                         "received": received + whole_frames(numbered[received:], half)}})
        acked = [struct.unpack(">Q", each[10:])[0] for each in frames
                 if each[4] == NUMBERS["ACK"]]
        cases.append({"name": name, "from": side, "hex": b"".join(frames).hex(),
                      "acknowledges": max(acked, default=0), "cuts": cuts})

    case("a command's output", SERVER, [
        frame("STARTED", {"pid": 4711}, 1), data_frame(b"one\n", 1), data_frame(b"", 1),
        data_frame(b"two\n", 2), frame("END", {"bytes": 4}, 1, 1),
        frame("END", {"bytes": 4}, 1, 2), frame("EXIT", {"code": 0, "signal": None}, 1)])
    case("a command and its input", CLIENT, [
        frame("OPEN", {"kind": "exec", "argv": ["cat"], "stdin": True}, 1),
        data_frame(bytes(range(60)), 0), frame("CREDIT", struct.pack(">I", 9), 1, 1),
        frame("STOP", b"", 1, 2), frame("SIGNAL", {"signal": "SIGINT"}, 1),
        frame("END", {"bytes": 60}, 1, 0)])
    case("each part has a number", CLIENT,
         cut("OPEN", {"kind": "exec", "argv": ["echo", "x" * 60]}, 1, 40))
    case("hints and signs of life have numbers", SERVER, [
        frame(200, b"hint"), frame("PING"), frame(255, b"", 7, 9), frame("PONG"),
        frame("GOAWAY", {"code": "shutting_down", "message": "Bye"})])
    case("ACK has none, wherever it stands", SERVER, [
        ack(0), frame("STARTED", {"pid": 1}, 1), ack(1), ack(1), data_frame(b"abc", 1), ack(2),
        frame("PART", b'{"by', 1, 1), ack(3), frame("END", b'tes":3}', 1, 1), ack(3)])
    case("jobs", SERVER, [
        frame("STARTED", {"pid": 1, "jobId": "a", "stdinOffset": 0}, 1),
        frame("DROPPED", {"stream": "stdout", "from": 0, "to": 5}, 1), data_frame(b"end", 1),
        frame("RESULT", {}, 3), frame("DETACH", {}, 1)])
    return {"cases": cases}


FILES = {"preface.json": preface_file, "frames.json": frames_file,
         "handshake.json": handshake_file, "sessions.json": sessions_file,
         "resume.json": resume_file}


def main(argv):
    if argv not in ([], ["--check"]):
        sys.exit(__doc__)
    different = []
    for name, make in FILES.items():
        content = (json.dumps(make(), indent=1, ensure_ascii=True) + "\n").encode("ascii")
        path = HERE / name
        if argv and (not path.exists() or path.read_bytes() != content):
            different.append(name)
        elif not argv:
            path.write_bytes(content)
    if different:
        sys.exit("not what generate.py writes: " + ", ".join(different))


if __name__ == "__main__":
    main(sys.argv[1:])
