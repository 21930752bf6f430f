"""A local server that speaks OpenAI's HTTP and its event stream, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.speech import tone, wav

#: What its chat model answers, in pieces.
PIECES = ["Necesito", " ir al", " médico."]


class FakeOpenAI(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behaviour = "well"
        self.adds = ""
        """What it adds to a sentence that it is to make fluent."""
        self.requests: list[tuple[str, str | None, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: FakeOpenAI
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers.get("Authorization"), body))
        if self.server.behaviour == "error":
            self.send_error(500)
            return
        try:
            match self.path:
                case "/v1/chat/completions":
                    self._stream("text/event-stream", self._chat())
                case "/v1/audio/transcriptions":
                    self._transcription()
                case "/v1/audio/speech":
                    sound = wav(tone(0.5, 24_000), 24_000)
                    pieces = [b"garbage" * 9] if self.server.behaviour == "garbage" else [sound[:50], sound[50:1001]]
                    self._stream("audio/wav", iter([*pieces, sound[1001:]]))
                case _:
                    self.send_error(404)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _transcription(self) -> None:
        words = [{"word": "Hello", "start": 0.0, "end": 0.4}, {"word": "you", "start": 0.4, "end": 0.9}]
        answer: dict[str, Any] = {"text": "Hello you", "language": "english", "words": words}
        answer["segments"] = [{"text": " Hello you", "start": 0.0, "end": 1.0}]
        content = b"[1, 2" if self.server.behaviour == "garbage" else json.dumps(answer).encode()
        self._stream("application/json", iter([content]))

    def _said(self) -> list[str]:
        asked = json.loads(self.server.requests[-1][2])["messages"][-1]["content"]
        _, draft, sentence = asked.partition("\nDraft: ")
        if not draft:
            return PIECES
        return [sentence.rstrip("."), self.server.adds, "!"]  # of glosses: the draft, and a mark of its own

    def _chat(self) -> Iterator[bytes]:
        match self.server.behaviour:
            case "garbage":
                yield b"data: {not json\n\n"
            case "endless":
                while True:
                    yield b'data: {"choices":[{"delta":{"content":"' + b"palabra " * 40 + b'"}}]}\n\n'
            case "slow":
                while True:
                    yield b": still here\n\n"
                    time.sleep(0.05)
            case "cut":
                yield b'data: {"choices":[{"delta":{"content":"Nece"}}]}\n\n'
            case _:
                for piece in self._said():
                    yield f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\r\n\r\n".encode()
                yield b"data: [DONE]\n\n"

    def _stream(self, media_type: str, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


@contextmanager
def fake_openai(port: int = 0) -> Iterator[FakeOpenAI]:
    server = FakeOpenAI(port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
