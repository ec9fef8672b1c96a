"""A small server that speaks as much of the Hugging Face hub's protocol as its clients need.

It serves models and datasets that a test adds, takes uploads of the user "tester", counts what is
asked, and can break a transfer in the middle. `address()` must be in HF_ENDPOINT before
`huggingface_hub` is imported.
"""

import base64
import hashlib
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(
    "/api/(models|datasets)/([^/]+/[^/]+)"
    "(?:/(revision|tree|paths-info|refs|preupload|commit)(?:/([^/]+))?(?:/(.*))?)?"
)
RESOLVE = re.compile("(?:/(datasets))?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
Files = Mapping[str, bytes]


def address() -> str:
    """Return an address on this machine that refuses connections until a `LocalHub` serves there.

    The port stays bound as long as the process runs, so that no other program gets it.
    """
    holder = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        holder.setsockopt(socket.SOL_SOCKET, option, 1)
    holder.bind(("127.0.0.1", 0))
    port = holder.getsockname()[1]
    holder.detach()
    return f"http://127.0.0.1:{port}"


def files_in(folder: Path) -> Files:
    """Return the contents of the files below a folder, by their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@dataclass
class Repository:
    """The commits of a model or a dataset, by their hashes, and the names of some of them."""

    gated: bool = False
    private: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, ref: str = "main") -> str:
        """Make the files the newest commit of a branch; return its hash."""
        digest = hashlib.sha1(repr([*self.commits, *sorted(files.items())]).encode()).hexdigest()
        self.commits[digest] = dict(files)
        self.names[ref] = digest
        return digest


class LocalHub:
    """The server, and what it serves.

    Attributes:
        token: the only one that opens gated repositories and writes.
        user: the owner of this token.
        requests: every request as "METHOD path", with " from N" where a transfer is resumed.
        breaks: number of bytes after which the next transfer of a file breaks off.
    """

    token = "hf_local"
    user = "tester"

    def __init__(self, address: str) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[str] = []
        self.breaks: dict[str, int] = {}
        port = urlsplit(address).port
        assert port is not None
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.hub = self  # type: ignore[attr-defined]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def add(
        self, name: str, files: Files, kind: str = "models", gated: bool = False, ref: str = "main"
    ) -> str:
        """Add a commit to a repository, and the repository itself at first; return its hash."""
        repository = self.repositories.setdefault((kind, name), Repository(gated))
        return repository.commit(files, ref)

    def files(self, name: str, kind: str = "models") -> Files:
        """Return the files of the newest commit."""
        repository = self.repositories[kind, name]
        return repository.commits[repository.names["main"]]

    def downloads(self) -> list[str]:
        """Return the names of the files whose contents were asked for."""
        return [r.rpartition("/")[2] for r in self.requests if re.match("GET .*/resolve/", r)]

    def close(self) -> None:
        """Stop serving; the address refuses connections from then on."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True


class _Refusal(Exception):
    """An answer with a status and the hub's code for the reason."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    @property
    def hub(self) -> LocalHub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def _answer(self, handle: Any) -> None:
        start = (self.headers.get("Range") or "").removeprefix("bytes=").partition("-")[0]
        resumed = f" from {start}" if start not in ("", "0") else ""
        self.hub.requests.append(f"{self.command} {unquote(self.path)}{resumed}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            handle(urlsplit(self.path))
        except _Refusal as refusal:
            # The hub's clients read the reason from this header.
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.code}
            self._send(b"", refusal.status, headers)

    def _get(self, url: Any) -> None:
        if found := RESOLVE.fullmatch(url.path):
            kind, name, revision, path = found.groups()
            return self._send_file(kind or "models", name, revision, unquote(path))
        if url.path == "/api/whoami-v2":
            self._require_token()
            return self._send_json({"type": "user", "name": self.hub.user, "auth": {}})
        found = API.fullmatch(url.path)
        if not found:
            raise _Refusal(404, "RepoNotFound")
        kind, name, what, revision, below = found.groups()
        repository, sha, files = self._find(kind, name, revision)
        if what == "refs":
            refs = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": digest}
                for name, digest in repository.names.items()
            ]
            return self._send_json({"branches": refs, "tags": [], "converts": []})
        if what == "tree":
            recursive = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
            return self._send_json(_tree(files, unquote(below or ""), recursive))
        siblings = [{"rfilename": path} for path in files]
        about = {"_id": sha, "id": name, "sha": sha, "siblings": siblings, "tags": []}
        access = {"private": repository.private, "gated": repository.gated}
        return self._send_json({**about, **access})

    def _post(self, url: Any) -> None:
        if url.path == "/api/validate-yaml":
            return self._validate(json.loads(self.body)["content"])
        if url.path == "/api/repos/create":
            return self._create(json.loads(self.body))
        found = API.fullmatch(url.path)
        if not found:
            raise _Refusal(404, "RepoNotFound")
        kind, name, what, revision, _ = found.groups()
        repository, _, files = self._find(kind, name, revision)
        if what == "paths-info":
            paths = _paths_asked(self.headers.get("Content-Type", ""), self.body)
            everything = {one["path"]: one for one in _tree(files, "", True)}
            return self._send_json([everything[path] for path in paths if path in everything])
        self._require_token()
        self._require_own(name)
        if what == "preupload":
            asked = json.loads(self.body)["files"]
            modes = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in asked
            ]
            return self._send_json({"files": modes})
        digest = repository.commit(_committed(files, self.body))
        where = f"http://{self.headers['Host']}/{name}/commit/{digest}"
        return self._send_json({"success": True, "commitOid": digest, "commitUrl": where})

    def _create(self, asked: dict[str, Any]) -> None:
        self._require_token()
        name = f"{asked.get('organization') or self.hub.user}/{asked['name']}"
        self._require_own(name)
        kind = f"{asked.get('type') or 'model'}s"
        if (kind, name) in self.hub.repositories:
            raise _Refusal(409, "RepoExists")
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.repositories[kind, name] = Repository(private=private)
        self.hub.repositories[kind, name].commit({})
        self._send_json({"url": f"http://{self.headers['Host']}/{name}"})

    def _validate(self, card: str) -> None:
        """Refuse metadata as the hub does; here it knows two licenses."""
        found = re.search("^license: (.*)$", card, re.MULTILINE)
        errors = (
            [{"message": '"license" must be one of [apache-2.0, mit]'}]
            if found and found[1] not in ("apache-2.0", "mit")
            else []
        )
        self._send_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _require_own(self, name: str) -> None:
        if name.partition("/")[0] != self.hub.user:
            raise _Refusal(403, "Forbidden")

    def _find(self, kind: str, name: str, revision: str | None) -> tuple[Repository, str, Files]:
        repository = self.hub.repositories.get((kind, name))
        if repository is None:
            raise _Refusal(404, "RepoNotFound")
        wanted = unquote(revision or "main")
        sha = repository.names.get(wanted, wanted)
        if sha not in repository.commits:
            raise _Refusal(404, "RevisionNotFound")
        return repository, sha, repository.commits[sha]

    def _send_file(self, kind: str, name: str, revision: str, path: str) -> None:
        repository, sha, files = self._find(kind, name, revision)
        if repository.gated and not self._has_token():
            raise _Refusal(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        if path not in files:
            self._send(b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        data = files[path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{_digest(data)}"', "Accept-Ranges": "bytes"}
        status, asked = (
            200,
            re.fullmatch("bytes=([0-9]+)-([0-9]*)", self.headers.get("Range") or ""),
        )
        if asked:
            start, end = int(asked[1]), int(asked[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            status, data = 206, data[start : end + 1]
        broken = self.hub.breaks.pop(path, None) if self.command == "GET" else None
        self._send(data, status, headers, broken)

    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _require_token(self) -> None:
        if not self._has_token():
            raise _Refusal(401, "Unauthorized")

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def _send(
        self,
        data: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        broken: int | None = None,
    ) -> None:
        self.send_response(status)
        # A connection that stays open would still be served after `close`.
        own = {"Content-Length": str(len(data)), "Connection": "close"}
        for key, value in {**(headers or {}), **own}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:broken])


def _digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _tree(files: Files, below: str, recursive: bool) -> list[dict[str, Any]]:
    """Return files and folders below a folder, as the hub lists them."""
    prefix = f"{below}/" if below else ""
    inside = {path: data for path, data in files.items() if path.startswith(prefix)}
    if below and not inside:
        raise _Refusal(404, "EntryNotFound")
    listed: dict[str, dict[str, Any]] = {}
    for path, data in inside.items():
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            folder = prefix + "/".join(parts[:depth])
            oid = _digest(folder.encode())
            listed[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
        if recursive or len(parts) == 1:
            size = len(data)
            listed[path] = {"type": "file", "path": path, "oid": _digest(data), "size": size}
    return list(listed.values())


def _paths_asked(content_type: str, body: bytes) -> list[str]:
    if "json" in content_type:
        return list(json.loads(body)["paths"])
    return parse_qs(body.decode())["paths"]


def _committed(files: Files, body: bytes) -> Files:
    """Return the files after a commit in lines of JSON."""
    after = dict(files)
    for line in body.decode().splitlines():
        entry = json.loads(line)
        if entry["key"] == "file":
            after[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        elif entry["key"] == "deletedFile":
            after.pop(entry["value"]["path"])
    return after
