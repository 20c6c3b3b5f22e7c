#!/usr/bin/env python3
"""Run one command on a Limpet server. Written from core/PROTOCOL.md alone.

    limpet_client.py [options] HOST:PORT|unix:PATH -- CMD ARG...
    limpet_client.py [options] HOST:PORT|unix:PATH -c LINE
    limpet_client.py [options] HOST:PORT|unix:PATH --attach JOB

With --resume a lost connection is got back, once in each session.

The token comes from --token-file, or from the file LIMPET_TOKEN_FILE, or from
LIMPET_TOKEN. The exit status is the command's, 128+n for a signal, 124 if it was
ended by --timeout, 125 if the server refused it, 126 if it is not executable, 127
if there is no such program, 255 if the connection, the authentication or the
protocol failed: then the outcome of the command is unknown.

Python 3.9 or later, nothing but the standard library.
"""

import argparse
import base64
import hashlib
import hmac
import json
import math
import os
import secrets
import select
import signal
import socket
import struct
import sys
import threading
import time
from typing import NamedTuple

PREFACE = {"client": b"\xafLPT\r\n\x1aC", "server": b"\xafLPT\r\n\x1aS"}
LIMITS = {"frame": 65536, "control": 4194304, "window": 262144}
SOFTWARE = "limpet-python/1"
FRAME_LIMIT_BEFORE_PROOF = 16384
HANDSHAKE_SECONDS = 10
ALIVE_SECONDS = 10  # while we cannot read, and so not answer a PING either
HEADER = struct.Struct(">IBBI")  # length, type, stream, channel
HELLO, PROOF, CLOSE, PING, PONG, GOAWAY, ACK, PART = 1, 2, 3, 4, 5, 6, 7, 9
OPEN, STARTED, REFUSED = 16, 17, 18
DATA, END, ABORT, CREDIT, STOP, SIGNAL, EXIT = 19, 20, 21, 22, 23, 24, 25
DETACH, DROPPED, RESULT = 26, 27, 28
RAW = (DATA, CREDIT, STOP, PING, PONG, ACK)  # every other payload is a JSON object
STREAMS_OF = {"client": (0,), "server": (1, 2)}  # what each side sends

TYPES = {  # name, who sends it, what it belongs to
    HELLO: ("HELLO", "both", "session"),
    PROOF: ("PROOF", "both", "session"),
    CLOSE: ("CLOSE", "both", "session"),
    PING: ("PING", "both", "session"),
    PONG: ("PONG", "both", "session"),
    GOAWAY: ("GOAWAY", "server", "session"),
    ACK: ("ACK", "both", "session"),
    PART: ("PART", "both", "anything"),
    OPEN: ("OPEN", "client", "channel"),
    STARTED: ("STARTED", "server", "channel"),
    REFUSED: ("REFUSED", "server", "channel"),
    DATA: ("DATA", "both", "sender's stream"),
    END: ("END", "both", "sender's stream"),
    ABORT: ("ABORT", "both", "sender's stream"),
    CREDIT: ("CREDIT", "both", "reader's stream"),
    STOP: ("STOP", "both", "reader's stream"),
    SIGNAL: ("SIGNAL", "client", "channel"),
    EXIT: ("EXIT", "server", "channel"),
    DETACH: ("DETACH", "both", "channel"),
    DROPPED: ("DROPPED", "server", "channel"),
    RESULT: ("RESULT", "server", "channel"),
}

NULL = type(None)
REASON = {"code": str, "message": str}
FIELDS = {  # what the server's messages must hold; "?" marks what may be missing
    HELLO: {"version": int, "nonce": str, "features": list, "software": str,
            "limits": {"frame": int, "control": int, "window": int}},
    PROOF: {"proof": str, "session?": {"id": str, "graceMs": int},
            "resumed?": {"received": int, "begun?": int}},
    CLOSE: REASON,
    GOAWAY: {**REASON, "drainMs?": int},
    STARTED: {"pid": int},
    REFUSED: REASON,
    END: {"bytes": int, "heldOpen?": bool},
    ABORT: REASON,
    EXIT: {"code": (int, NULL), "signal": (str, NULL), "reason?": str},
    DETACH: {"code?": str, "message?": str},
    DROPPED: {"stream": str, "from": int, "to": int},
}


class ProtocolError(Exception):
    """The peer broke a rule; the session ends with CLOSE `code`."""

    def __init__(self, message, code="protocol_error"):
        super().__init__(message)
        self.code = code


class Failure(Exception):
    """There is no result of the command to give; the program ends with `status`."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Message(NamedTuple):
    type: int
    stream: int
    channel: int
    payload: bytes


class FrameReader:
    """Makes messages of bytes, wherever the stream of bytes was cut.

    `feed` keeps bytes, `next` takes one message out of them or returns None when it
    needs more; asking one by one lets the caller change the limits in between, as the
    end of the handshake does. What the header shows to be wrong is refused before
    any of the payload is awaited.
    """

    def __init__(self, peer):
        self.peer = peer
        self.other = "client" if peer == "server" else "server"
        self.preface = PREFACE[peer]
        self.buffer = bytearray()
        self.frame_limit = FRAME_LIMIT_BEFORE_PROOF
        self.control_limit = 0  # no PART before authentication
        self.resumable = False  # no ACK unless the session outlives its connections
        self.count = 0  # the frames that came behind PROOF, whole, without ACK
        self.parts = bytearray()
        self.parts_of = None  # the channel whose control payload is being put together

    def authenticated(self, limits):
        self.frame_limit, self.control_limit = limits["frame"], limits["control"]

    def feed(self, data):
        self.buffer += data

    def next(self):
        if self.preface and not self._read_preface():
            return None
        while len(self.buffer) >= HEADER.size:
            length, type_, stream, channel = HEADER.unpack_from(self.buffer)
            self._check(length, type_, stream, channel)
            end = HEADER.size + length
            if len(self.buffer) < end:
                return None
            payload = bytes(self.buffer[HEADER.size:end])
            del self.buffer[:end]
            self.count += bool(self.control_limit and type_ != ACK)
            if type_ == PART:
                self.parts += payload
                self.parts_of = channel
            elif type_ < 128:  # the others are hints of later versions
                if self.parts_of is not None and type_ != ACK:
                    payload = bytes(self.parts) + payload
                    self.parts, self.parts_of = bytearray(), None
                return Message(type_, stream, channel, payload)
        return None

    def _read_preface(self):
        start = self.buffer[:len(self.preface)]
        if not self.preface.startswith(start):
            raise ProtocolError("this is not a Limpet " + self.peer)
        if len(start) < len(self.preface):
            return False
        del self.buffer[:len(start)]
        self.preface = b""
        return True

    def _check(self, length, type_, stream, channel):
        if length > self.frame_limit:
            raise ProtocolError(f"frame of {length} bytes, the limit is {self.frame_limit}",
                                "limit_exceeded")
        if (self.parts_of is not None and type_ != ACK
                and (channel != self.parts_of or type_ in RAW or type_ >= 128)):
            raise ProtocolError(f"frame of type {type_} between the parts of another one")
        if type_ >= 128:
            return
        if type_ not in TYPES or type_ == ACK and not self.resumable:
            raise ProtocolError(f"frame of unknown type {type_}")
        name, sender, scope = TYPES[type_]
        if sender not in ("both", self.peer):
            raise ProtocolError(f"{name} from the {self.peer}")
        if scope != "anything":
            streams = {"sender's stream": STREAMS_OF[self.peer],
                       "reader's stream": STREAMS_OF[self.other]}.get(scope, (0,))
            if stream not in streams:
                raise ProtocolError(f"{name} from the {self.peer} on stream {stream}")
            if (scope == "session") != (channel == 0):
                raise ProtocolError(f"{name} on channel {channel}")
        if (type_ == CREDIT and length != 4) or (type_ == ACK and length != 8) or (
                type_ in (STOP, PING, PONG) and length != 0):
            raise ProtocolError(f"{name} with a payload of {length} bytes")
        if type_ in (PART, PING, PONG) and not self.control_limit:
            raise ProtocolError(f"{name} before authentication")
        if ((type_ == PART or self.parts_of is not None and type_ != ACK)
                and len(self.parts) + length > self.control_limit):
            raise ProtocolError(f"control payload above {self.control_limit} bytes",
                                "limit_exceeded")


def whole_number(text):
    number = float(text)
    return int(number) if number.is_integer() else number


def check_fields(value, fields, name):
    if not isinstance(value, dict):
        raise ProtocolError(f"{name} is not a JSON object")
    for field, kind in fields.items():
        key = field.rstrip("?")
        if key not in value:
            if key == field:
                raise ProtocolError(f"{name} without {key}")
        elif isinstance(kind, dict):
            check_fields(value[key], kind, f"{key} of {name}")
        else:  # exact types, since True is an int to isinstance
            kinds, found = kind if isinstance(kind, tuple) else (kind,), value[key]
            if type(found) not in kinds or type(found) is int and not 0 <= found < 2 ** 53:
                raise ProtocolError(f"{key} of {name} has a wrong type or range")


def parse(message, fields=FIELDS):
    """The checked JSON object of a control message."""
    name = TYPES[message.type][0]
    try:
        value = json.loads(message.payload.decode("utf-8"), parse_float=whole_number,
                           parse_constant=int)  # int refuses NaN and Infinity
    except (ValueError, RecursionError):
        raise ProtocolError(f"{name} is not JSON") from None
    check_fields(value, fields.get(message.type, {}), name)
    if message.type == EXIT:
        if (value["code"] is None) == (value["signal"] is None):
            raise ProtocolError("EXIT needs one of a code and a signal")
    return value


def to_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def encode(type_, payload=b"", channel=0, stream=0, limit=FRAME_LIMIT_BEFORE_PROOF):
    """The bytes of one message: a frame, or PARTs and a frame if it is above the limit."""
    if isinstance(payload, dict):
        payload = to_json(payload)
    out = bytearray()
    while len(payload) > limit:
        out += HEADER.pack(limit, PART, 0, channel) + payload[:limit]
        payload = payload[limit:]
    return bytes(out + HEADER.pack(len(payload), type_, stream, channel) + payload)


def to_base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text):
    """The 32 bytes of a nonce or a proof."""
    try:
        data = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except ValueError:
        data = b""
    if len(data) != 32 or to_base64(data) != text:
        raise ProtocolError("not the base64url of 32 bytes")
    return data


def token_id(token):
    """Tells a server that has several tokens which one is meant."""
    digest = hmac.new(token, b"limpet/1 token id\0", hashlib.sha256).digest()
    return "token:" + to_base64(digest[:12])


def proof(token, side, *parts):
    return hmac.new(token, b"\x00".join([f"limpet/1 {side} proof".encode(), b"".join(parts)]),
                    hashlib.sha256).digest()


def printable(text):
    """The peer's words without what could drive the terminal they are printed on."""
    return "".join(filter(str.isprintable, text))[:1000]


def describe(reason):
    return printable(f"{reason['code']}: {reason['message']}")


def complain(text):
    print("limpet_client: " + text, file=sys.stderr, flush=True)


def frames_in(data):
    """The single frames of what `encode` has made."""
    while data:
        end = HEADER.size + HEADER.unpack_from(data)[0]
        yield data[:end]
        data = data[end:]


class Session:
    """A connection, and the one command that runs over it as channel 1.

    With `dial` it asks the server to keep the session, and goes on over a second
    connection when the first one is lost.
    """

    CHANNEL = 1

    def __init__(self, sock, dial=None):
        self.sock = sock
        self.dial = dial
        self.reader = FrameReader("server")
        self.sending = threading.RLock()
        self.closed = False
        self.peer_limits = None
        self.token = None
        self.kept = None  # the id of the session, if the server keeps it
        self.unacknowledged = []  # frames, the first of which has the number
        self.acknowledged = 0
        self.told = 0  # the last ACK that we have sent

    def send(self, *frames, last=False):
        with self.sending:
            if self.closed:
                raise BrokenPipeError("nothing may follow CLOSE")
            self.closed = last
            data = b"".join(frames)
            if self.dial:
                self.unacknowledged += frames_in(data)
            try:
                self.sock.sendall(data)
            except OSError:
                if not self.kept:  # else whoever receives will notice as well
                    raise

    def send_on_channel(self, type_, payload=b"", stream=0):
        self.send(encode(type_, payload, self.CHANNEL, stream, self.peer_limits["frame"]))

    def receive(self, deadline=None):
        """The next message; CLOSE and the end of the connection are failures."""
        while True:
            message = self.reader.next()
            self._acknowledge()
            if message and message.type == ACK:
                self._forget(struct.unpack(">Q", message.payload)[0])
                continue
            if message and message.type == CLOSE:
                raise Failure(255, "the server closed: " + describe(parse(message)))
            if message and message.type == PING:
                self.send(encode(PONG))
            elif message and message.type != PONG:
                return message
            if message:
                continue
            self.sock.settimeout(deadline and max(deadline - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                if not self.kept:
                    raise
                data = b""
            if data:
                self.reader.feed(data)
            elif self.kept:
                self._resume()
            else:
                raise Failure(255, "the connection ended; what became of the command is unknown")

    def _acknowledge(self):
        """Each message at once: a few bytes, and nothing to be late with."""
        if self.kept and self.reader.count > self.told:
            self.told = self.reader.count
            with self.sending:
                try:
                    self.sock.sendall(encode(ACK, struct.pack(">Q", self.told)))
                except OSError:
                    pass  # whoever receives will notice

    def _forget(self, count):
        with self.sending:
            if not 0 <= count - self.acknowledged <= len(self.unacknowledged):
                raise ProtocolError(f"{count} frames cannot have been received")
            del self.unacknowledged[:count - self.acknowledged]
            self.acknowledged = count

    def _resume(self):
        """A second connection, and a whole handshake: what has not come is sent again."""
        id_, self.kept = self.kept, None  # once
        old, before = self.reader, self.sock
        with self.sending:
            before.close()
            self.sock = self.dial()
            self.reader = FrameReader("server")
            fields = self._shake({"resume": {"session": id_, "received": old.count}})
            if "resumed" not in fields:
                raise Failure(255, "the server has no such session any more")
            self.reader.authenticated(LIMITS)
            self.reader.resumable = True
            self.reader.count, self.told = old.count, old.count
            self.reader.parts, self.reader.parts_of = old.parts, old.parts_of
            self._forget(fields["resumed"]["received"])
            self.sock.sendall(b"".join(self.unacknowledged))

    def expect(self, type_, deadline):
        message = self.receive(deadline)
        if message.type != type_:
            raise ProtocolError(f"{TYPES[message.type][0]} instead of {TYPES[type_][0]}")
        return message

    def open(self, token, request):
        """The handshake, with the request right behind the client's proof."""
        self.token = token
        fields = self._shake({}, request)
        self.reader.authenticated(LIMITS)
        if self.dial and "session" in fields:
            self.kept = fields["session"]["id"]
            self.reader.resumable = True
        else:
            self.dial, self.unacknowledged = None, []

    def _shake(self, more, request=None):
        """Prove the token, and take the server's proof; what stands in it."""
        token = self.token
        deadline = time.monotonic() + HANDSHAKE_SECONDS
        features = ["resume"] if self.dial else []
        hello = encode(HELLO, {"min": 1, "max": 1, "nonce": to_base64(secrets.token_bytes(32)),
                               "limits": LIMITS, "features": features, "software": SOFTWARE,
                               **more})
        self.sock.sendall(PREFACE["client"] + hello)
        answer = self.expect(HELLO, deadline)
        fields = parse(answer)
        from_base64(fields["nonce"])
        if fields["version"] != 1:
            raise ProtocolError("the server chose a version that was not offered")
        if fields["limits"]["frame"] < 1024:
            raise ProtocolError("the server's frame limit is below 1024")
        self.peer_limits = self.peer_limits or fields["limits"]  # those of the first handshake
        transcript = hashlib.sha256(hello + encode(HELLO, answer.payload)).digest()
        mine = proof(token, "client", transcript)
        behind = b""
        if request is not None:
            request = to_json(request)
            if len(request) > max(self.peer_limits["frame"], self.peer_limits["control"]):
                raise Failure(125, "limit_exceeded: the command is too long for this server")
            behind = encode(OPEN, request, self.CHANNEL, 0, self.peer_limits["frame"])
        if self.dial:
            self.unacknowledged += frames_in(behind)
        ours = encode(PROOF, {"key": token_id(token), "proof": to_base64(mine)})
        self.sock.sendall(ours + behind)
        fields = parse(self.expect(PROOF, deadline))
        theirs = from_base64(fields["proof"])
        if not hmac.compare_digest(theirs, proof(token, "server", transcript, mine)):
            raise ProtocolError("the server does not have this token", "unauthenticated")
        return fields

    def close(self, code, message=""):
        """Say CLOSE, unless `code` is None, end our side and await the peer's end for a second."""
        deadline = time.monotonic() + 1
        try:
            if code:
                self.send(encode(CLOSE, {"code": code, "message": message}), last=True)
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while time.monotonic() < deadline and self.sock.recv(65536):
                pass
        except OSError:
            pass
        self.sock.close()


class Input(threading.Thread):
    """Sends a descriptor's bytes as fast as the server's window allows, then END."""

    def __init__(self, session, fd):
        super().__init__(daemon=True)  # its read may wait for a terminal for ever
        self.session, self.fd = session, fd
        self.credit = session.peer_limits["window"]
        self.stopped = False
        self.changed = threading.Condition()
        self.start()

    def grant(self, payload):
        with self.changed:
            self.credit += struct.unpack(">I", payload)[0] & 0x7FFFFFFF
            if self.credit >= 2 ** 31:
                raise ProtocolError("2^31 bytes of credit or more", "limit_exceeded")
            self.changed.notify()

    def stop(self):
        with self.changed:
            self.stopped = True
            self.changed.notify()

    def _next(self):
        with self.changed:
            self.changed.wait_for(lambda: self.credit or self.stopped)
            room = min(self.credit, self.session.peer_limits["frame"])
        data = b"" if self.stopped else os.read(self.fd, room)
        with self.changed:
            self.credit -= len(data)
            return b"" if self.stopped else data

    def run(self):
        total = 0
        try:
            for data in iter(self._next, b""):
                total += len(data)
                self.session.send_on_channel(DATA, data)
            self.session.send_on_channel(END, {"bytes": total})
        except OSError as error:  # of the read, or of the connection: then this fails too
            try:
                self.session.send_on_channel(ABORT, {"code": "failed", "message": str(error)})
            except OSError:
                pass


class Output:
    """One stream of the command: writes it to a descriptor, then grants new credit.

    A blocked write holds up the reading of the connection, which is right for one command;
    a client with several at once needs a queue of at most one window for each stream.
    """

    def __init__(self, session, stream, fd):
        self.session, self.stream, self.fd = session, stream, fd
        self.window = LIMITS["window"]
        self.total = self.consumed = 0
        self.wanted, self.ended, self.error = True, False, None

    def data(self, data):
        if len(data) > self.window:
            raise ProtocolError(f"more DATA on stream {self.stream} than its window allows",
                                "limit_exceeded")
        self.window -= len(data)
        self.total += len(data)
        if self.wanted:
            self._write(memoryview(data))

    def _write(self, rest):
        self.consumed += len(rest)
        try:
            while rest:
                # Whoever reads our output may take his time: we are here all the same.
                while not select.select([], [self.fd], [], ALIVE_SECONDS)[1]:
                    self.session.send(encode(PONG))
                rest = rest[os.write(self.fd, rest[:select.PIPE_BUF]):]
        except OSError as error:  # nobody reads our output any more, or the disk is full
            self.wanted = False
            if not isinstance(error, BrokenPipeError):
                self.error = f"cannot write: {error}"
            self.session.send_on_channel(STOP, b"", self.stream)
        if self.wanted and self.consumed >= LIMITS["window"] // 2:
            self.window += self.consumed
            self.session.send_on_channel(CREDIT, struct.pack(">I", self.consumed), self.stream)
            self.consumed = 0

    def handle(self, message):
        if self.ended:
            raise ProtocolError(f"stream {self.stream} goes on after its end")
        if message.type == DATA:
            return self.data(message.payload)
        self.ended, fields = True, parse(message)
        if message.type == ABORT:
            self.error = describe(fields)
        elif fields["bytes"] != self.total:
            self.error = f"{fields['bytes']} bytes were sent but {self.total} came"


def follow(session, outputs, stdin):
    """Take the command's messages until it and its streams have ended; its EXIT."""
    started, exit_ = False, None
    while exit_ is None or not all(output.ended for output in outputs.values()):
        message = session.receive()
        name = TYPES[message.type][0]
        if message.type == GOAWAY:  # the one command goes on, and there is no other to come
            complain("the server is going down: " + describe(parse(message)))
            continue
        if message.channel != session.CHANNEL:
            raise ProtocolError(f"{name} for channel {message.channel}")
        if message.type in (CREDIT, STOP):
            if stdin is None:
                raise ProtocolError(f"{name} for an input that was not announced")
            stdin.stop() if message.type == STOP else stdin.grant(message.payload)
        elif started == (message.type in (STARTED, REFUSED)):
            raise ProtocolError(f"{name} {'after' if started else 'before'} STARTED")
        elif message.type == STARTED:
            parse(message)
            started = True
        elif message.type == REFUSED:
            fields = parse(message)
            statuses = {"not_found": 127, "not_executable": 126}
            raise Failure(statuses.get(fields["code"], 125), describe(fields))
        elif message.type == DROPPED:
            fields = parse(message)
            complain(f"bytes {fields['from']} to {fields['to']} of "
                     f"{printable(fields['stream'])} are not there any more")
        elif message.type == DETACH:
            fields = parse(message)
            raise Failure(255, printable(fields.get("message", "the job goes on")))
        elif message.type == EXIT:
            if exit_ is not None:
                raise ProtocolError("EXIT twice")
            exit_ = parse(message)
        elif message.stream in outputs:
            outputs[message.stream].handle(message)
        else:
            raise ProtocolError(f"{name} on stream {message.stream}, which is not asked for")
    return exit_


def status_of(exit_):
    if exit_.get("reason") == "timed_out":
        return 124
    if exit_["code"] is not None:
        return exit_["code"]
    if exit_["signal"] in signal.Signals.__members__:
        return 128 + signal.Signals[exit_["signal"]]
    raise Failure(255, f"ended by {printable(exit_['signal'])}, which has no number here")


def execute(sock, token, request, fds=(0, 1, 2), dial=None):
    """Run `request` over the socket; the exit status for the whole program."""
    session, outputs = Session(sock, dial), {}
    try:
        session.open(token, request)
        stdin = Input(session, fds[0]) if request.get("stdin") else None
        for stream in (1,) if request.get("merge") else (1, 2):
            outputs[stream] = Output(session, stream, fds[stream])
        status = status_of(follow(session, outputs, stdin))
        session.close("closed")
    except Failure as failure:
        status = failure.status
        complain(str(failure))
        session.close(None if status == 255 else "closed")
    except ProtocolError as error:
        status = 255
        complain(str(error))
        # Whoever sent no preface does not speak the protocol and is told nothing.
        session.close(None if session.reader.preface else error.code, str(error))
    except OSError as error:
        status = 255
        complain(f"connection failed: {error}; what became of the command is unknown")
        session.sock.close()
    for stream, output in outputs.items():
        if output.error:
            complain(f"stream {stream} is not complete: {output.error}")
            status = 255
    return status


def connect(target):
    if target.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(target[len("unix:"):])
        return sock
    host, _, port = target.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), HANDSHAKE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_token(path):
    path = path or os.environ.get("LIMPET_TOKEN_FILE")
    if path:
        with open(path, "rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise Failure(255, f"{path}: others can read the token; chmod 600 it")
            token = file.read(65536).strip()
    else:
        token = os.environ.get("LIMPET_TOKEN", "").encode("utf-8")
    if len(token) < 16:
        raise Failure(255, "a token of at least 16 bytes is needed: --token-file, "
                           "LIMPET_TOKEN_FILE or LIMPET_TOKEN")
    return token


def arguments(argv):
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        description="Run one command on a Limpet server.",
        usage="%(prog)s [options] HOST:PORT|unix:PATH (-- CMD ARG... | -c LINE)")
    parser.add_argument("target", help="HOST:PORT or unix:PATH")
    parser.add_argument("-c", dest="line", help="a line for the server's shell")
    parser.add_argument("-i", dest="stdin", action="store_true", help="send standard input")
    parser.add_argument("--merge", action="store_true", help="stderr into stdout at the source")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="end the command then")
    parser.add_argument("--token-file", metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="get a lost connection back")
    parser.add_argument("--attach", metavar="JOB", help="all that a job has written, and writes")
    options, command = parser.parse_args(argv[:cut]), argv[cut + 1:]
    if [bool(command), options.line is not None, options.attach is not None].count(True) != 1:
        parser.error("give either -- CMD ARG... or -c LINE or --attach JOB")
    if options.timeout is not None and not 0 < options.timeout < 2 ** 43:
        parser.error("--timeout must be above 0")
    if not options.target.startswith("unix:") and not options.target.rpartition(":")[2].isdigit():
        parser.error("the target must be HOST:PORT or unix:PATH")
    if options.attach is not None:
        return options, {"kind": "attach", "job": options.attach, "stdin": options.stdin}
    request = {"kind": "exec"}
    request.update({"argv": command} if command else {"line": options.line})
    request.update({name: True for name in ("stdin", "merge") if getattr(options, name)})
    if options.timeout is not None:
        request["timeoutMs"] = math.ceil(options.timeout * 1000)
    if "TRACEPARENT" in os.environ:
        request["traceparent"] = os.environ["TRACEPARENT"]
    return options, request


def main(argv):
    options, request = arguments(argv)
    try:
        to_json(request)
        token = read_token(options.token_file)
        def dial():
            return connect(options.target)

        return execute(dial(), token, request, dial=dial if options.resume else None)
    except UnicodeEncodeError:
        complain("the command is not valid UTF-8, which the protocol cannot carry")
        return 125
    except Failure as failure:
        complain(str(failure))
        return failure.status
    except (OSError, OverflowError) as error:
        complain(f"cannot connect to {options.target}: {error}")
        return 255
    except KeyboardInterrupt:
        return 130  # the server ends the command with the session


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
