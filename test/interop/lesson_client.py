#!/usr/bin/env python3
"""The lesson's client: sends a line, prints what one recv() brings.

    python3 lesson_client.py [HOST [PORT]] [--encoding gbk]

It takes whatever lies in the socket for the answer to its last line. The faults
that come of it are kept on purpose, each with a comment that says FAULT.
"""

import argparse
import socket
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=8090)
    parser.add_argument("--encoding", choices=["utf-8", "gbk"],
                        default="utf-8", help="of the server's console")
    options = parser.parse_args()
    with socket.create_connection((options.host, options.port)) as server:
        while True:
            try:
                line = input(">>: ")
            except EOFError:
                break
            # An empty message is no message: nothing would be sent, and recv()
            # would wait for an answer to it for ever.
            if not line:
                continue
            if line == "exit":
                break
            server.sendall(line.encode(options.encoding))
            # FAULT: only the first 1024 bytes at most. The rest of a long
            # answer stays, and is printed as the answer to the next line.
            # FAULT: if the command prints nothing, this waits for ever.
            data = server.recv(1024)
            if not data:
                print("the server has gone", file=sys.stderr)
                return 1
            # FAULT: a character that is cut at byte 1024 is lost.
            print(data.decode(options.encoding, errors="replace"), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConnectionError as error:
        sys.exit(f"no connection: {error}")
