"""The landmark engine on MediaPipe: a graph for each stream, kept for the next stream when one ends."""

from __future__ import annotations

import importlib.metadata
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, LandmarksUnavailable
from app.pipeline.module1_preprocessing.landmarks.holistic_graph import GraphStalled, HolisticGraph
from app.pipeline.module1_preprocessing.landmarks.native_log import chatter_filtered

#: Incremented whenever a change here makes the same images give other landmarks or crops.
_REVISION = 1
_quiet_done = threading.Event()


def extractor_version() -> str:
    """Identifies the extractor: results of two versions must not be mixed."""
    try:
        release = importlib.metadata.version("mediapipe")
    except importlib.metadata.PackageNotFoundError:
        release = "none"
    return f"mediapipe-{release}-{_REVISION}"


class MediaPipeTrack:
    """The landmarks of MediaPipe Holistic, bit for bit, without computing its face. See LandmarkTrack."""

    #: While the hands of one image are found, the body of the next is.
    depth = 3

    def __init__(self, graph: HolisticGraph, give_back: Callable[[HolisticGraph, bool], None]) -> None:
        """give_back: called at the end with the graph, and whether it still works."""
        self._graph: HolisticGraph | None = graph
        self._give_back, self._works, self._replaced = give_back, True, False
        self._quiet = ExitStack()
        if not _quiet_done.is_set():  # MediaPipe writes warnings once in the life of a process
            self._quiet.enter_context(chatter_filtered())

    @property
    def pending(self) -> int:
        return self._graph.pending if self._graph is not None else 0

    def send(self, rgb: NDArray[np.uint8]) -> None:
        with self._running() as graph:
            graph.send(rgb)

    def receive(self) -> NDArray[np.float32]:
        try:
            with self._running() as graph:
                return graph.receive()
        except GraphStalled as stalled:
            if self._replaced:
                raise
            self._replace_graph(stalled.images)
        with self._running() as graph:
            return graph.receive()

    def _replace_graph(self, unanswered: Sequence[Any]) -> None:
        """Go on with a new graph, once, from the images that the old one did not answer."""
        old, self._graph, self._works, self._replaced = self._graph, HolisticGraph(), True, True
        if old is not None:  # a graph that hangs may never close
            threading.Thread(target=old.close, name="closing-landmark-graph", daemon=True).start()
        for packet in unanswered:
            self._graph.send_packet(packet)

    def close(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self._give_back(graph, self._works)
            self._quiet.close()
            _quiet_done.set()

    @contextmanager
    def _running(self) -> Iterator[HolisticGraph]:
        if self._graph is None:
            raise ExtractionFailed("the stream of images has ended")
        try:
            yield self._graph
        except ExtractionFailed:
            self._works = False
            raise


class MediaPipeEngine:
    """Graphs are made on first need, and up to `size` idle ones kept for the next streams. See LandmarkEngine.

    Threads share it: MediaPipe does its work outside Python's lock, so threads use the cores as fully as processes
    would, without copying images between processes or holding the models once more for each.
    """

    def __init__(self, size: int | None = None) -> None:
        """size: graphs kept, default one for each core."""
        self.size = size if size is not None else os.cpu_count() or 1
        if self.size < 1:
            raise ValueError(f"an engine needs at least 1 graph, got {self.size}")
        self._idle: list[HolisticGraph] = []
        self._closed = False
        self._lock = threading.Lock()

    def open(self) -> MediaPipeTrack:
        """Raises LandmarksUnavailable, RuntimeError after close()."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the landmark engine is closed")
            graph = self._idle.pop() if self._idle else None
        if graph is not None:
            try:
                graph.restart()
            except (ExtractionFailed, LandmarksUnavailable):
                graph.close()
                graph = None
        return MediaPipeTrack(graph if graph is not None else HolisticGraph(), self._keep)

    def warm_up(self) -> None:
        with closing(self.open()) as track:
            track.send(np.zeros((256, 256, 3), np.uint8))
            track.receive()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for graph in idle:
            graph.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _keep(self, graph: HolisticGraph, works: bool) -> None:
        with self._lock:
            keep = works and not self._closed and len(self._idle) < self.size
            if keep:
                self._idle.append(graph)
        if not keep:
            graph.close()
