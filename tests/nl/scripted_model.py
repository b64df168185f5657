"""An OpenAI-compatible endpoint on loopback that answers from a script and records everything that it is sent.

    with ScriptedModel("SELECT 1", Reply(status=500)) as model:
        ... base_url=model.base_url ...
        assert "secret" not in model.everything()

It answers in order and repeats its last reply. A plain string is the content of a chat completion.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """One answer: a completion's content, or any body; after `delay` seconds."""

    content: str = ""
    status: int = 200
    body: str | None = None
    delay: float = 0.0
    location: str | None = None

    def render(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        if self.status != 200:
            return json.dumps({"error": {"message": self.content or "scripted failure"}}).encode()
        message = {"role": "assistant", "content": self.content}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return json.dumps(
            {"id": "scripted", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice]}
        ).encode()


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def document(self) -> Any:
        """The JSON document of the user message."""
        return json.loads(self.json["messages"][-1]["content"])


class ScriptedModel:
    """The endpoint. Use as a context manager; it serves from a thread of its own."""

    def __init__(self, *replies: str | Reply) -> None:
        self.requests: list[Request] = []
        self._replies: list[str | Reply] = list(replies)
        self._closing = threading.Event()
        self._came = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def wait_for_request(self) -> None:
        """Block until something came, for ten seconds at most."""
        if not self._came.wait(10):
            raise TimeoutError("no request came")

    def say(self, *replies: str | Reply) -> None:
        """Replace the script."""
        self._replies = list(replies)

    def everything(self) -> str:
        """All that was ever sent here, decoded: paths, headers, bodies."""
        parts = []
        for r in self.requests:
            parts += [r.path, *r.headers.values(), r.body, json.dumps(r.json, ensure_ascii=False)]
        return "\n".join(parts)

    def _next(self) -> Reply:
        found = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        return Reply(found) if isinstance(found, str) else found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # one packet per answer

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                model.requests.append(Request(self.path, dict(self.headers.items()), body.decode()))
                model._came.set()
                self._send(model._next())

            def _send(self, reply: Reply) -> None:
                if reply.delay and model._closing.wait(reply.delay):
                    self.close_connection = True
                    return
                data = reply.render()
                try:
                    self.send_response(reply.status)
                    if reply.location:
                        self.send_header("Location", reply.location)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # the client did not wait

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Quiet."""

        return Handler
