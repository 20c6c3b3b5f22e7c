#!/usr/bin/env python3
"""Checks limpet_client.py against test/vectors without any server of this repository.

    python3 test/interop/test_limpet_client.py
"""

import contextlib
import io
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import limpet_client as limpet  # noqa: E402

TOKEN = b"0123456789abcdef"
VECTORS = HERE.parent / "vectors"
EVERY_SPLIT_UP_TO = 4096  # longer ones are split near their ends and at random

NUMBERS = {"frame": int, "control": int, "window": int}
FROM_CLIENT = {  # what a server would check; the client itself never reads these
    limpet.HELLO: {"min": int, "max": int, "nonce": str, "features": list, "software": str,
                   "limits": NUMBERS, "resume?": {"session": str, "received": int, "begun?": int}},
    limpet.PROOF: {"proof": str},
    limpet.CLOSE: limpet.REASON,
    limpet.OPEN: {"kind": str},
    limpet.END: limpet.FIELDS[limpet.END],
    limpet.ABORT: limpet.REASON,
    limpet.SIGNAL: {"signal": str, "terminate?": bool},
}


def load(name):
    return json.loads((VECTORS / name).read_text("ascii"))


def reader_for(case):
    reader = limpet.FrameReader(case["from"])
    reader.feed(limpet.PREFACE[case["from"]])
    if case["authenticated"]:
        reader.authenticated(case["limits"])
        reader.resumable = case.get("resumable", False)
    return reader


def read(reader, *pieces):
    messages = []
    for piece in pieces:
        reader.feed(piece)
        messages += iter(reader.next, None)
    return messages


def meaning(message, sender):
    """A message the way the vectors describe one."""
    out = {"type": message.type, "name": limpet.TYPES[message.type][0],
           "stream": message.stream, "channel": message.channel}
    if message.type == limpet.CREDIT:
        out["credit"] = struct.unpack(">I", message.payload)[0]
    elif message.type in limpet.RAW:
        out["payload"] = message.payload.hex()
    else:
        out["json"] = parse(message, sender)
    return out


def parse(message, sender):
    value = limpet.parse(message, limpet.FIELDS if sender == "server" else FROM_CLIENT)
    if message.type == limpet.HELLO:  # the client checks these where it uses them
        limpet.from_base64(value["nonce"])
        if len(value.get("resume", {"session": ""})["session"]) > 64:
            raise limpet.ProtocolError("session of HELLO is too long")
        if value["limits"]["frame"] < 1024:
            raise limpet.ProtocolError("frame limit")
    if message.type == limpet.PROOF:
        limpet.from_base64(value["proof"])
    return value


def splits(data, seed):
    """Every two pieces, single bytes, and some random cuts."""
    whole = len(data) <= EVERY_SPLIT_UP_TO
    cuts = range(len(data) + 1) if whole else [*range(64), *range(len(data) - 64, len(data))]
    for cut in cuts:
        yield data[:cut], data[cut:]
    yield [data[i:i + 1] for i in range(len(data))]
    chance = random.Random(seed)
    for _ in range(20):
        places = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.randint(1, 9))))
        yield [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


class Frames(unittest.TestCase):
    vectors = load("frames.json")

    def test_the_types_are_those_of_the_vectors(self):
        ours = {name: number for number, (name, _, _) in limpet.TYPES.items()}
        self.assertEqual(ours, self.vectors["types"])

    def test_valid(self):
        for case in self.vectors["valid"]:
            with self.subTest(case["name"]):
                data = bytes.fromhex(case["hex"])
                first = read(reader_for(case), data)
                self.assertEqual([meaning(m, case["from"]) for m in first], case["messages"])
                for pieces in splits(data, case["name"]):
                    self.assertEqual(read(reader_for(case), *pieces), first)

    def test_valid_ones_are_what_the_encoder_writes(self):
        for case in self.vectors["valid"]:
            if any(word in case["name"] for word in ("ignored", "white space", "cut inside")):
                continue  # one of several forms of the same
            messages = read(reader_for(case), bytes.fromhex(case["hex"]))
            limit = case["limits"]["frame"]
            again = [limpet.encode(m.type, m.payload if m.type in limpet.RAW
                                   else json.loads(m.payload), m.channel, m.stream, limit)
                     for m in messages]
            self.assertEqual(b"".join(again).hex(), case["hex"], case["name"])

    def test_invalid(self):
        for case in self.vectors["invalid"]:
            with self.subTest(case["name"]):
                data = bytes.fromhex(case["hex"])
                for pieces in ((data[:case["known"]],), *splits(data, case["name"])):
                    with self.assertRaises(limpet.ProtocolError) as caught:
                        for message in read(reader_for(case), *pieces):
                            parse(message, case["from"])
                    self.assertEqual(caught.exception.code, case["error"])

    def test_refused_ones_are_whole_messages(self):
        for case in self.vectors["refused"]:
            self.assertEqual(len(read(reader_for(case), bytes.fromhex(case["hex"]))), 1)

    def test_a_length_is_refused_before_any_memory_is_used(self):
        reader = limpet.FrameReader("server")
        reader.feed(limpet.PREFACE["server"] + b"\xff\xff\xff\xff\x13\x01\0\0\0\x01")
        self.assertRaises(limpet.ProtocolError, reader.next)
        self.assertLess(len(reader.buffer), 100)


class Preface(unittest.TestCase):
    def test_every_case_on_a_socket_at_every_split(self):
        for case in load("preface.json")["cases"]:
            if case["transport"] != "socket":
                continue
            peer = "client" if case["reader"] == "server" else "server"
            data = bytes.fromhex(case["hex"])
            with self.subTest(case["name"]):
                for pieces in splits(data, 1):
                    reader = limpet.FrameReader(peer)
                    if case["result"] == "close":
                        self.assertRaises(limpet.ProtocolError, read, reader, *pieces)
                        continue
                    self.assertEqual(read(reader, *pieces), [])
                    self.assertEqual(reader.preface == b"", case["result"] == "accept")
                    if case["result"] == "accept":
                        self.assertEqual(bytes(reader.buffer), data[case["consumed"]:])
                if "decided" in case:
                    self.assertRaises(limpet.ProtocolError, read, limpet.FrameReader(peer),
                                      data[:case["decided"]])
                    read(limpet.FrameReader(peer), data[:case["decided"] - 1])


class Handshake(unittest.TestCase):
    def test_proofs(self):
        for case in load("handshake.json")["cases"]:
            with self.subTest(case["name"]):
                token = case["token"].encode("utf-8")
                hellos = bytes.fromhex(case["clientHello"] + case["serverHello"]
                                       + case["binding"])
                transcript = limpet.hashlib.sha256(hellos).digest()
                mine = limpet.proof(token, "client", transcript)
                theirs = limpet.proof(token, "server", transcript, mine)
                self.assertEqual(transcript.hex(), case["transcript"])
                wrong = case.get("wrong")
                self.assertEqual(mine.hex() == case["clientProof"], wrong != "client")
                if wrong != "client":
                    self.assertEqual(theirs.hex() == case["serverProof"], wrong != "server")
                    frame = limpet.encode(limpet.PROOF, {
                        "key": limpet.token_id(token), "proof": limpet.to_base64(mine)})
                    self.assertEqual(frame.hex(), case["clientProofFrame"])
                for side, nonce in case["nonces"].items():
                    hello = json.loads(bytes.fromhex(case[side + "Hello"])[10:])
                    self.assertEqual(limpet.from_base64(hello["nonce"]).hex(), nonce)


class ScriptedServer(threading.Thread):
    """Plays the server's steps, and reads exactly what the client's steps hold."""

    def __init__(self, sock, steps, pieces=None):
        super().__init__(daemon=True)
        self.sock, self.steps, self.pieces, self.error = sock, steps, pieces, None
        self.rest = b""

    def run(self):
        self.sock.settimeout(10)
        try:
            for step in self.steps:
                data = bytes.fromhex(step["hex"])
                if step["from"] == "server":
                    for i in range(0, len(data), self.pieces or len(data)):
                        self.sock.sendall(data[i:i + (self.pieces or len(data))])
                    continue
                got = b""
                while len(got) < len(data):
                    more = self.sock.recv(len(data) - len(got))
                    got += more
                    if not more or not data.startswith(got):
                        raise AssertionError(f"{got.hex()} instead of {step['hex']}")
            self.sock.shutdown(socket.SHUT_WR)
            self.rest = b"".join(iter(lambda: self.sock.recv(65536), b""))
        except (OSError, AssertionError) as error:
            self.error = error
        finally:
            self.sock.close()


class Sessions(unittest.TestCase):
    vectors = load("sessions.json")

    def play(self, case, pieces=None):
        """The client's status, output, and errors, and what it sent beyond the script."""
        ours, theirs = socket.socketpair()
        server = ScriptedServer(theirs, case["steps"], pieces)
        nonce = bytes.fromhex(case["nonces"]["client"])
        errors = io.StringIO()
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, \
                tempfile.TemporaryFile() as err, contextlib.redirect_stderr(errors), \
                mock.patch.object(limpet, "LIMITS", case["limits"]["client"]), \
                mock.patch.object(limpet, "SOFTWARE", "limpet-vectors/1"), \
                mock.patch.object(limpet.secrets, "token_bytes", lambda size: nonce):
            stdin.write(bytes.fromhex(case["stdin"] or ""))
            stdin.seek(0)
            server.start()
            token = case.get("clientToken", case["token"]).encode("utf-8")
            request = case["request"] or {"kind": "exec", "argv": ["true"]}
            status = limpet.execute(ours, token, request,
                                    (stdin.fileno(), out.fileno(), err.fileno()))
            server.join(20)
            out.seek(0)
            err.seek(0)
            return (status, out.read().hex(), err.read().hex()), errors.getvalue(), server

    def test_whole_conversations(self):
        played = 0
        for case in self.vectors["sessions"]:
            if "status" not in case["result"]:
                continue
            for pieces in (None, 1, 7):
                with self.subTest(case["name"], pieces=pieces):
                    result, errors, server = self.play(case, pieces)
                    self.assertIsNone(server.error)
                    wanted = case["result"]
                    self.assertEqual(result, (wanted["status"], wanted["stdout"],
                                              wanted["stderr"]), errors)
                    self.assertTrue(all(c.isprintable() or c == "\n" for c in errors), errors)
                    self.assertNotIn(case["token"], errors)
                    played += 1
        self.assertGreater(played, 60)

    def test_a_server_that_breaks_a_rule(self):
        for case in self.vectors["broken"]:
            if case["brokenBy"] != "server":
                continue
            with self.subTest(case["name"]):
                result, errors, server = self.play(case)
                self.assertEqual(result[0], 255, errors)
                close = read(reader_for({"from": "client", "authenticated": True,
                                         "limits": limpet.LIMITS}), server.rest)[-1]
                self.assertEqual(close.type, limpet.CLOSE)
                self.assertEqual(limpet.parse(close)["code"], case["result"]["close"]["code"])

    def test_the_hex_of_each_direction_is_whole(self):
        for case in self.vectors["sessions"] + self.vectors["broken"]:
            for side in ("client", "server"):
                steps = "".join(s["hex"] for s in case["steps"] if s["from"] == side)
                self.assertEqual(steps, case[side])

    def test_steps_hold_the_messages_they_name(self):
        for case in self.vectors["sessions"] + self.vectors["broken"]:
            if case["name"] == "not a server":
                continue
            readers = {side: limpet.FrameReader(side) for side in ("client", "server")}
            with self.subTest(case["name"]):
                for step in case["steps"]:
                    try:
                        found = []
                        reader = readers[step["from"]]
                        reader.feed(bytes.fromhex(step["hex"]))
                        for message in iter(reader.next, None):
                            found.append(meaning(message, step["from"]))
                            if message.type == limpet.PROOF:
                                other = "client" if step["from"] == "server" else "server"
                                reader.authenticated(case["limits"][other])
                    except limpet.ProtocolError:
                        self.assertIn("brokenBy", case)
                        continue
                    found = [m for m in found if step["messages"] or m["name"] != "HELLO"]
                    self.assertEqual(found, step["messages"])


class TinyServer(threading.Thread):
    """Accepts one client with TOKEN and leaves the command to `serve`."""

    LIMITS = {"frame": 1024, "control": 4096, "window": 5000}

    def __init__(self, serve, accept):
        super().__init__(daemon=True)
        self.serve, self.accept = serve, accept
        self.reader = limpet.FrameReader("client")
        self.error = self.seen = self.sock = None
        self.start()

    def send(self, *frames):
        self.sock.sendall(b"".join(frames))

    def take(self, *types):
        while True:
            message = self.reader.next()
            if message and message.type in types:
                return message
            if not message:
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError("the client ended")
                self.reader.feed(data)

    def finish(self, totals, code, signal):
        self.send(*(limpet.encode(limpet.END, {"bytes": total}, 1, stream)
                    for stream, total in totals.items()),
                  limpet.encode(limpet.EXIT, {"code": code, "signal": signal}, 1))

    def run(self):
        try:
            self.sock = self.accept()
            self.sock.settimeout(10)
            hello = limpet.encode(limpet.HELLO, {
                "version": 1, "nonce": limpet.to_base64(bytes(32)), "limits": self.LIMITS,
                "features": [], "software": "test"})
            first = self.take(limpet.HELLO)
            self.send(limpet.PREFACE["server"], hello)
            transcript = limpet.hashlib.sha256(
                limpet.encode(limpet.HELLO, first.payload) + hello).digest()
            mine = limpet.proof(TOKEN, "client", transcript)
            given = json.loads(self.take(limpet.PROOF).payload)["proof"]
            if limpet.from_base64(given) != mine:
                raise limpet.ProtocolError("wrong proof")
            self.reader.authenticated(self.LIMITS)
            proof = limpet.to_base64(limpet.proof(TOKEN, "server", transcript, mine))
            self.take(limpet.OPEN)
            self.send(limpet.encode(limpet.PROOF, {"proof": proof}))
            self.serve(self)
            self.take(limpet.CLOSE)
        except Exception as error:  # the test that waits for this thread reports it
            self.error = error
        finally:
            if self.sock:
                self.sock.close()


class Program(unittest.TestCase):
    def test_arguments(self):
        def request(*argv):
            return limpet.arguments(list(argv))[1]

        self.assertEqual(request("h:1", "--", "git", "log", "--", "-i"),
                         {"kind": "exec", "argv": ["git", "log", "--", "-i"]})
        self.assertEqual(request("-i", "h:1", "--merge", "-c", "a | b", "--timeout", "0.0001"),
                         {"kind": "exec", "line": "a | b", "stdin": True, "merge": True,
                          "timeoutMs": 1})
        for wrong in (["h:1"], ["h:1", "-c", "a", "--", "b"], ["h:1", "--"], ["h", "--", "a"],
                      ["h:1", "--timeout", "0", "--", "a"], ["h:1", "--timeout", "nan", "-c", ""]):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                limpet.arguments(wrong)

    def test_token(self):
        with tempfile.NamedTemporaryFile() as file, mock.patch.dict(os.environ, clear=True):
            self.assertRaises(limpet.Failure, limpet.read_token, None)
            file.write(b"0123456789abcdef\n")
            file.flush()
            self.assertEqual(limpet.read_token(file.name), b"0123456789abcdef")
            os.environ["LIMPET_TOKEN_FILE"] = file.name
            self.assertEqual(limpet.read_token(None), b"0123456789abcdef")
            os.chmod(file.name, 0o640)
            self.assertRaises(limpet.Failure, limpet.read_token, file.name)
            del os.environ["LIMPET_TOKEN_FILE"]
            os.environ["LIMPET_TOKEN"] = "fedcba9876543210"
            self.assertEqual(limpet.read_token(None), b"fedcba9876543210")
            os.environ["LIMPET_TOKEN"] = "too short"
            self.assertRaises(limpet.Failure, limpet.read_token, None)

    def test_no_server(self):
        errors = io.StringIO()
        with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(errors), \
                mock.patch.dict(os.environ, {"LIMPET_TOKEN": "0123456789abcdef"}):
            self.assertEqual(limpet.main([f"unix:{place}/none", "--", "true"]), 255)
            self.assertEqual(limpet.main([f"unix:{place}/none", "--", "\udcff"]), 125)
        self.assertIn("cannot connect", errors.getvalue())

    def test_a_reader_of_our_output_that_goes_away(self):
        def serve(server):
            server.send(limpet.encode(limpet.STARTED, {"pid": 1}, 1),
                        limpet.encode(limpet.DATA, b"y\n" * 9, 1, 1))
            stop = server.take(limpet.STOP)
            server.finish({1: 18, 2: 0}, None, "SIGPIPE")
            server.seen = (stop.channel, stop.stream)

        ours, theirs = socket.socketpair()
        server = TinyServer(serve, lambda: theirs)
        reading, writing = os.pipe()
        os.close(reading)
        status = limpet.execute(ours, TOKEN, {"kind": "exec", "argv": ["yes"]}, (0, writing, 2))
        os.close(writing)
        server.join(10)
        self.assertIsNone(server.error)
        self.assertEqual((status, server.seen), (141, (1, 1)))

    def test_the_program_over_tcp_and_a_unix_socket(self):
        def serve(server):  # cat, with the small window of its HELLO
            server.send(limpet.encode(limpet.STARTED, {"pid": 1}, 1))
            total = 0
            while True:
                message = server.take(limpet.DATA, limpet.END)
                if message.type == limpet.END:
                    break
                total += len(message.payload)
                server.send(limpet.encode(limpet.DATA, message.payload, 1, 1),
                            limpet.encode(limpet.CREDIT, struct.pack(">I", len(message.payload)),
                                          1, 0))
            server.seen = json.loads(message.payload)["bytes"], total
            server.finish({1: total, 2: 0}, 7, None)

        data = random.Random(1).randbytes(1000000)
        with tempfile.TemporaryDirectory() as place:
            for family, address in ((socket.AF_INET, ("127.0.0.1", 0)),
                                    (socket.AF_UNIX, place + "/s")):
                with socket.socket(family, socket.SOCK_STREAM) as listener:
                    listener.bind(address)
                    listener.listen()
                    listener.settimeout(20)
                    port = listener.getsockname()[1]
                    target = f"unix:{address}" if family == socket.AF_UNIX else f"localhost:{port}"
                    server = TinyServer(serve, lambda: listener.accept()[0])
                    done = subprocess.run(
                        [sys.executable, limpet.__file__, "-i", target, "--", "cat"], input=data,
                        capture_output=True, timeout=60, check=False,
                        env={**os.environ, "LIMPET_TOKEN": TOKEN.decode()})
                    server.join(10)
                    self.assertIsNone(server.error)
                    self.assertEqual((done.returncode, done.stderr), (7, b""))
                    self.assertEqual(server.seen, (len(data), len(data)))
                    self.assertTrue(done.stdout == data)


class Resuming(unittest.TestCase):
    vectors = load("resume.json")["cases"]

    @staticmethod
    def reader(case, count=0, before=None):
        reader = limpet.FrameReader(case["from"])
        reader.feed(limpet.PREFACE[case["from"]])
        reader.authenticated(limpet.LIMITS)
        reader.resumable, reader.count = True, count
        if before:
            reader.parts, reader.parts_of = before.parts, before.parts_of
        return reader

    def test_what_has_come_and_what_comes_again(self):
        for case in self.vectors:
            data = bytes.fromhex(case["hex"])
            whole = read(self.reader(case), data)
            messages = [each for each in whole if each.type != limpet.ACK]
            numbered = [each for each in limpet.frames_in(data) if each[4] != limpet.ACK]
            for cut in case["cuts"]:
                with self.subTest(case["name"], bytes=cut["bytes"]):
                    first = self.reader(case)
                    got = read(first, data[:cut["bytes"]])
                    self.assertEqual(first.count, cut["received"])
                    again = b"".join(numbered[cut["received"]:])
                    self.assertEqual(again.hex(), cut["again"])
                    then = cut["then"]
                    second = self.reader(case, first.count, first)
                    got += read(second, again[:then["bytes"]])
                    self.assertEqual(second.count, then["received"])
                    third = self.reader(case, second.count, second)
                    got += read(third, b"".join(numbered[second.count:]))
                    self.assertEqual(third.count, len(numbered))
                    self.assertEqual([each for each in got if each.type != limpet.ACK], messages)


class Vectors(unittest.TestCase):
    def test_the_files_are_what_the_generator_writes(self):
        import runpy
        with mock.patch.object(sys, "argv", ["generate.py", "--check"]):
            runpy.run_path(str(VECTORS / "generate.py"), run_name="__main__")


if __name__ == "__main__":
    unittest.main()
