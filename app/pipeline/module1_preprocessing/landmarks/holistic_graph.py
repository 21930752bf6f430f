"""MediaPipe's Holistic without the face: images in, 75 landmarks each out, several images in flight.

The graph joins the two subgraphs of `mediapipe/modules/holistic_landmark` that give body and hands, with the settings
of `mp.solutions.holistic.Holistic()` (model complexity 1, landmarks smoothed, tracking on, both thresholds 0.5), and
returns bit-identical numbers. The 468 face points, which are not used here, are never computed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import queue
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NUM_KEYPOINTS, POSE, RIGHT_HAND
from app.pipeline.module1_preprocessing.image_limits import InvalidImage, check_dimensions
from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, LandmarksUnavailable
from app.pipeline.module1_preprocessing.landmarks.native_log import chatter_filtered

_BLOCKS = {"pose_landmarks": POSE, "left_hand_landmarks": LEFT_HAND, "right_hand_landmarks": RIGHT_HAND}
# A landmark stream emits nothing for an image in which it found nothing. The presence nodes emit for every image, so
# that the results of an image are known to be complete while others are still in flight.
_GRAPH = """
input_stream: "image"
node {
  calculator: "PoseLandmarkCpu"
  input_stream: "IMAGE:image"
  output_stream: "LANDMARKS:pose_landmarks"
}
node {
  calculator: "HandLandmarksLeftAndRightCpu"
  input_stream: "IMAGE:image"
  input_stream: "POSE_LANDMARKS:pose_landmarks"
  output_stream: "LEFT_HAND_LANDMARKS:left_hand_landmarks"
  output_stream: "RIGHT_HAND_LANDMARKS:right_hand_landmarks"
}
""" + "".join(
    f"""
node {{
  calculator: "PacketPresenceCalculator"
  input_stream: "PACKET:{block}"
  output_stream: "PRESENCE:{block}_present"
}}
output_stream: "{block}"
output_stream: "{block}_present"
"""
    for block in _BLOCKS
)
#: Microseconds between two images as the graph sees them. MediaPipe's Python solutions pretend 30 frames a second
#: whatever the source, and the one-euro filter behind `smooth_landmarks` reads this clock: true times would smooth
#: differently from Holistic and from every recording the recogniser was trained on.
_STEP_US = 33_333
#: Seconds. An image takes about 50 ms; one that takes this long will never return.
_STALLED_S = 30.0


class GraphStalled(ExtractionFailed):
    """No answer to an image: seen a few times in thousands of clips, on busy machines, for no known reason. The same
    images go through another graph."""

    def __init__(self, images: Sequence[Any]) -> None:
        """images: the packets of the images without an answer, in their order."""
        super().__init__("the landmark graph stopped: no answer")
        self.images = images


@dataclass(frozen=True, slots=True)
class _MediaPipe:
    """The parts of MediaPipe in use, imported on first need: it costs about a second and 150 MB."""

    bindings: ModuleType
    graph_configs: ModuleType
    graph_protos: ModuleType

    def expanded(self, graph: str) -> Any:
        """The graph with its subgraphs written out, as Holistic runs it.

        Holistic passes its graph through Python's protocol buffers, which do not know the options of the heatmap
        refinement and drop them: a kernel of 9 where the graph file says 7. Passing the text directly gives other
        landmarks (up to 0.04 of the image off), so the detour is kept and the loss is made explicit.
        """
        validated = self.graph_configs.ValidatedGraphConfig()
        validated.initialize(graph_config=graph)
        config = self.graph_protos.CalculatorGraphConfig()
        config.ParseFromString(validated.binary_config)
        for node in config.node:
            if node.calculator == "RefineLandmarksFromHeatmapCalculator":
                node.ClearField("options")
        return config


@functools.cache
def _load_mediapipe() -> _MediaPipe:
    try:
        package = importlib.import_module("mediapipe")
        python = importlib.import_module("mediapipe.python")
        resources = importlib.import_module("mediapipe.python._framework_bindings.resource_util")
        configs = importlib.import_module("mediapipe.python._framework_bindings.validated_graph_config")
        protos = importlib.import_module("mediapipe.framework.calculator_pb2")
    # A mismatched protobuf or numpy breaks the import with these as well as with ImportError.
    except (ImportError, AttributeError, TypeError, OSError) as error:
        raise LandmarksUnavailable(
            f"MediaPipe cannot be loaded ({error}), so videos cannot be read; landmark files still can. "
            "Install it with: pip install 'mediapipe==0.10.21' 'numpy<2' 'protobuf<5'"
        ) from error
    resources.set_resource_dir(str(Path(str(package.__file__)).parents[1]))
    return _MediaPipe(python, configs, protos)


class HolisticGraph:
    """One running graph: one stream of images at a time, used from one thread at a time.

    Raises LandmarksUnavailable when MediaPipe or a model file is missing.
    """

    def __init__(self) -> None:
        self._mp = _load_mediapipe()
        self._graph: Any = self._mp.bindings.CalculatorGraph(graph_config=self._mp.expanded(_GRAPH))
        # Filled by MediaPipe's threads. The callback must not hold `self`: the graph would then own itself, and
        # neither Python's nor MediaPipe's reference counting would ever free it.
        arrivals: queue.SimpleQueue[tuple[str, int, Any]] = queue.SimpleQueue()

        def on_output(stream: str, packet: Any) -> None:
            arrivals.put((stream, packet.timestamp.value, packet))

        self._arrivals = arrivals
        for block in _BLOCKS:
            self._graph.observe_output_stream(block, on_output)
            self._graph.observe_output_stream(f"{block}_present", on_output)
        self._start()

    def _start(self) -> None:
        self._clock = 0
        self._pending: deque[tuple[int, Any]] = deque()  # time and packet of each image
        self._found: dict[tuple[str, int], Any] = {}
        try:
            with chatter_filtered():
                self._graph.start_run({})
                self._graph.wait_until_idle()  # the models are read here and not with the first image
        except RuntimeError as error:
            raise LandmarksUnavailable(
                f"MediaPipe's landmark models do not load ({error}). Version 0.10.21 carries them in its wheel, later "
                "ones do not. Install it with: pip install --force-reinstall 'mediapipe==0.10.21'"
            ) from error

    def restart(self) -> None:
        """Reset; images in flight are lost. Takes about a third of the time of a new graph.

        A blank image in between would be ten times cheaper, but MediaPipe's smoothing filters survive it: the next
        clip's landmarks differed from those of a fresh graph.
        """
        if self._clock == 0:
            return
        try:
            self._graph.close()
        except RuntimeError as error:
            raise ExtractionFailed(f"the landmark graph had failed: {error}") from error
        while not self._arrivals.empty():
            self._arrivals.get()
        self._start()

    @property
    def pending(self) -> int:
        """Images sent and not yet received."""
        return len(self._pending)

    def send(self, rgb: NDArray[np.uint8]) -> None:
        """Send an image, uint8 (H, W, 3), and return at once; the array may be reused afterwards.

        Raises InvalidImage for a size on which MediaPipe would end the process, ExtractionFailed.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise InvalidImage("bad_dimensions", f"expected uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
        check_dimensions(rgb.shape[1], rgb.shape[0])
        self.send_packet(
            self._mp.bindings.packet_creator.create_image_frame(
                np.ascontiguousarray(rgb), image_format=self._mp.bindings.ImageFormat.SRGB, copy=True
            )
        )

    def send_packet(self, packet: Any) -> None:
        """Send an image again that another graph has not answered, see `GraphStalled`. Raises ExtractionFailed."""
        self._clock += _STEP_US
        try:
            self._graph.add_packet_to_input_stream("image", packet.at(self._clock))
        except RuntimeError as error:
            raise ExtractionFailed(f"the landmark graph refused an image: {error}") from error
        self._pending.append((self._clock, packet))

    def receive(self) -> NDArray[np.float32]:
        """Landmarks of the oldest image not yet received, float32 (75, 3) as in Keypoints; waits for them. Raises
        ExtractionFailed, and GraphStalled, after which the graph is of no use."""
        timestamp = self._pending[0][0]
        points = np.zeros((NUM_KEYPOINTS, 3), np.float32)
        getter = self._mp.bindings.packet_getter
        for block, where in _BLOCKS.items():
            if not getter.get_bool(self._packet(f"{block}_present", timestamp)):
                continue
            landmarks = getter.get_proto(self._packet(block, timestamp)).landmark
            points[where] = [(point.x, point.y, point.visibility if where == POSE else 1.0) for point in landmarks]
        self._pending.popleft()
        return points

    def _packet(self, stream: str, timestamp: int) -> Any:
        while (stream, timestamp) not in self._found:
            try:
                arrived, when, packet = self._arrivals.get(timeout=_STALLED_S)
            except queue.Empty:
                if not self._graph.has_error():
                    raise GraphStalled([image for _, image in self._pending]) from None
                reason = self._graph.get_combined_error_message()
                raise ExtractionFailed(f"the landmark graph stopped: {reason}") from None
            self._found[arrived, when] = packet
        return self._found.pop((stream, timestamp))

    def close(self) -> None:
        """Stop the graph and free its models; images in flight are lost. May be called twice."""
        if self._graph is None:
            return
        graph, self._graph = self._graph, None
        # A graph that failed reports its failure once more on closing; it was raised when it happened.
        with contextlib.suppress(RuntimeError):
            graph.close()
