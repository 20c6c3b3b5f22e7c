#!/usr/bin/env python3
"""The lesson's server: a remote shell over a socket, without any protocol.

    python3 lesson_server.py [HOST [PORT]] [--encoding gbk]

One recv() is one command, and the bytes that come back are its output. Nobody
says where a message ends, so this has the faults that lessons about TCP begin
with. They are kept on purpose, each with a comment that says FAULT.

It runs whatever it is sent, for whoever connects: keep it on 127.0.0.1.
"""

import argparse
import socket
import subprocess


def run(command):
    """Runs a line in the shell: what it wrote to stdout, then to stderr."""
    try:
        process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        return b"", f"{error}\n".encode()
    # FAULT: the exit code is thrown away, there is no place for it to go.
    return process.communicate()


def serve(client, encoding):
    """Answers one client until it leaves."""
    while True:
        # FAULT: TCP carries a stream of bytes and no messages. Two commands
        # that were sent quickly arrive as one; one over 1024 bytes as two.
        data = client.recv(1024)
        if not data:
            break
        # FAULT: a character that is cut at byte 1024 is lost.
        stdout, stderr = run(data.decode(encoding, errors="replace"))
        client.sendall(stdout)
        # FAULT: which of it was stderr, nobody can tell any more; and if there
        # was no output at all, the client waits for ever.
        client.sendall(stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=8090)
    parser.add_argument("--encoding", choices=["utf-8", "gbk"],
                        default="utf-8")
    options = parser.parse_args()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((options.host, options.port))
        server.listen(5)
        host, port = server.getsockname()
        print(f"listening on {host}:{port}", flush=True)
        while True:
            # FAULT: the next client waits until this one has left.
            client, _ = server.accept()
            with client:
                try:
                    serve(client, options.encoding)
                except OSError as error:
                    print(f"client lost: {error}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
