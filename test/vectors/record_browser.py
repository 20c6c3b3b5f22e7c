#!/usr/bin/env python3
"""Records what a page in Chromium can send to a TCP port, into browser.json.

    python3 test/vectors/record_browser.py              record (needs Debian's chromium)
    python3 test/vectors/record_browser.py --port N     attack what listens on 127.0.0.1:N

The page tries every way it has to reach another port: fetch, a form, an image,
a beacon, sockets, with and without TLS. It is served from a port of its own, as
a stranger's is. README.md says what the file holds.
"""

import http.server
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
# A shell that was given one of these would leave a file.
PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const target = "127.0.0.1:PORT";
const command = "touch pwned\\n";
const opened = (socket) => new Promise((done) => { socket.onclose = socket.onerror = done; });
const ways = {
  "fetch GET": () => fetch(`http://${target}/;touch pwned`),
  "fetch POST": () => fetch(`http://${target}/`, { method: "POST", mode: "no-cors", body: command }),
  "fetch preflight": () => fetch(`http://${target}/`, { method: "PUT", body: command }),
  "fetch TLS": () => fetch(`https://${target}/`),
  "WebSocket": () => opened(new WebSocket(`ws://${target}/`)),
  "WebSocket TLS": () => opened(new WebSocket(`wss://${target}/`)),
  "image": () => new Promise((done) => {
    const image = new Image();
    image.onload = image.onerror = done;
    image.src = `http://${target}/;touch pwned`;
  }),
  "form": () => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "answer";
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", enctype: "text/plain", action: `http://${target}/`, target: "answer" });
    const field = document.createElement("input");
    Object.assign(field, { name: "touch pwned;", value: "#" });
    form.append(field);
    document.body.append(frame, form);
    form.submit();
    setTimeout(done, 3000);
  }),
  "beacon": () => new Promise((done) => {
    navigator.sendBeacon(`http://${target}/`, command);
    setTimeout(done, 3000);
  }),
};
(async () => {
  for (const [way, go] of Object.entries(ways)) {
    await fetch(`/way?${encodeURIComponent(way)}`);
    const late = new Promise((done) => setTimeout(done, 8000, "no answer"));
    const result = await Promise.race([go().then((got) => `answered: ${got}`, String), late]);
    await fetch(`/result?${encodeURIComponent(`${way}: ${result}`)}`);
  }
  await fetch("/over");
})();
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, said = self.path.partition("?")
        said = urllib.parse.unquote(said)
        if path == "/way":
            self.server.way = said
        elif path == "/result":
            print(said, flush=True)
        elif path == "/over":
            self.server.over.set()
        body = self.server.page.encode() if path == "/" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def record(listener, server, recordings):
    """The first bytes of each connection, which is closed without an answer."""
    while True:
        connection, _ = listener.accept()
        way = server.way
        connection.settimeout(1.0)
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except OSError:
            pass
        connection.close()
        if data and all(way != known["way"] for known in recordings):
            recordings.append({"way": way, "hex": data.hex()})


def main():
    recordings = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.over = threading.Event()
    server.way = ""
    if "--port" in sys.argv:
        port = int(sys.argv[sys.argv.index("--port") + 1])
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        threading.Thread(target=record, args=(listener, server, recordings), daemon=True).start()
    server.page = PAGE.replace("PORT", str(port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        over = server.over.wait(120)
        browser.terminate()
        browser.wait()
    if not over:
        sys.exit("the page never came to its end")
    if "--port" not in sys.argv:
        version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=True).stdout
        data = {"browser": " ".join(version.split()[:2]), "recordings": recordings}
        (HERE / "browser.json").write_text(json.dumps(data, indent=1) + "\n")


main()
