"""Doubles of `ports.ChatModel`: one that says what the test wrote, and an OpenAI-compatible server that streams it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from assistant.errors import ChatModelUnavailable

PIECES = ("从第一个还款日起，", "提前还款", "不收费。")


class ScriptedModel:
    """A chat model that says what the test wrote, whatever it is asked; remembers what it was asked."""

    version = "scripted"

    def __init__(self, *pieces: str, fails: bool = False) -> None:
        self._pieces = pieces
        self._fails = fails
        self.asked: tuple[str, str] = ("", "")
        self.taken = 0

    def stream(self, system: str, user: str) -> Iterator[str]:
        self.asked = (system, user)
        for piece in self._pieces:
            self.taken += 1
            yield piece
        if self._fails:
            raise ChatModelUnavailable("down on demand")


class StreamingServer:
    """An OpenAI-compatible endpoint on 127.0.0.1 that says `pieces`, `pause` seconds before each."""

    def __init__(self) -> None:
        self.pieces: tuple[str, ...] = PIECES
        self.pause = 0.0
        self.status = 200
        self.breaks_off = False
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                outer.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                self.send_header("Content-Type", "text/event-stream" if outer.status == 200 else "application/json")
                self.end_headers()
                try:
                    outer.speak(self.wfile.write)
                except (BrokenPipeError, ConnectionResetError):
                    return

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def speak(self, write: Callable[[bytes], object]) -> None:
        if self.status != 200:
            write(b'{"error": {"message": "overloaded", "type": "server_error"}}')
            return
        for number, piece in enumerate(self.pieces):
            time.sleep(self.pause)
            if self.breaks_off and number == 1:
                write(b"data: {not json\n\n")
                return
            chunk = {
                "id": "x",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}],
            }
            write(f"data: {json.dumps(chunk)}\n\n".encode())
        write(b"data: [DONE]\n\n")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
