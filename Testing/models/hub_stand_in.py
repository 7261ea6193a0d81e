"""A STAND-IN for the model Hub, not the Hub: the requests that huggingface_hub makes for a snapshot, on 127.0.0.1.

It serves one repository OWNER/NAME with one commit from a folder, notes the requests, and can break a download off.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class HubStandIn:
    def __init__(self, repo: str, folder: Path, commit: str = "c" * 40):
        self.repo, self.folder, self.commit = repo, folder, commit
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.break_off = 0  # how many downloads of weights to cut half-way
        self.bytes_a_second = None  # how slowly to send
        stand_in = self

        class Handler(_Handler):
            hub = stand_in

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub, path = self.hub, self.path.split("?")[0]
        hub.requests.append(f"{self.command} {path}")
        revision = f"(main|v1|{hub.commit})"
        if re.fullmatch(f"/api/models/{hub.repo}(/revision/{revision})?", path):
            siblings = [{"rfilename": name} for name in self._names()]
            self._json({"id": hub.repo, "modelId": hub.repo, "sha": hub.commit, "siblings": siblings, "tags": []})
        elif re.fullmatch(f"/api/models/{hub.repo}/tree/{revision}", path):
            self._json(
                [{"type": "file", "path": n, "size": len(self._read(n)), "oid": "0" * 40} for n in self._names()]
            )
        elif match := re.fullmatch(f"/{hub.repo}/resolve/{revision}/(?P<name>.+)", path):
            self._file(match["name"], body)
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _names(self) -> list[str]:
        return sorted(str(f.relative_to(self.hub.folder)) for f in self.hub.folder.rglob("*") if f.is_file())

    def _read(self, name: str) -> bytes:
        return (self.hub.folder / name).read_bytes()

    def _json(self, value) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, body: bool) -> None:
        content = self._read(name)
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": self.hub.commit}
        start = 0
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(found[1])
            self.hub.ranges.append(f"{name} from {start}")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        cut = body and name.endswith(".safetensors") and self.hub.break_off > 0
        self._send(206 if start else 200, rest, headers, body=body, keep=len(rest) // 2 if cut else None)
        if cut:
            self.hub.break_off -= 1
            self.close_connection = True

    def _send(self, status: int, content: bytes, headers: dict, body: bool = True, keep: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            content, pace = content[:keep], self.hub.bytes_a_second
            block = max(1, pace // 10 if pace else len(content))
            for start in range(0, len(content), block):
                self.wfile.write(content[start : start + block])
                time.sleep(0.1 if pace else 0)

    def log_message(self, *_):
        pass
