"""The documented errors of the service: each class has one HTTP status, one stable code, one documented answer, and
one WebSocket close code where a live session ends with it. The tables of the docs and of gRPC derive from these."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar


class Close(IntEnum):
    """WebSocket close codes."""

    NORMAL = 1000
    INVALID = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    DRAINING = 1012
    FULL = 1013
    BAD_START = 4400
    IDLE = 4408
    TOO_LONG = 4410
    TOO_FAST = 4429


class ServiceError(Exception):
    """Base of every documented error."""

    status: ClassVar[int] = 500
    """HTTP status."""
    code: ClassVar[str] = "internal_error"
    """Stable name, for programs; the same at every door."""
    title: ClassVar[str] = "Internal error"
    """What kind of problem it is; the same text every time."""
    example: ClassVar[str] = "An unexpected error. The request id in this answer identifies it in the service's log."
    """A documented `detail`, and the one of an error that is raised without."""
    close: ClassVar[Close | None] = None
    """How a live session ends with it; None: the session continues, or the error does not occur in one."""
    retry_after_s: ClassVar[int | None] = None
    """When a client should try again (header Retry-After)."""

    def __init__(self, detail: str | None = None, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        """detail: what happened, why, and what to do, without internals."""
        self.detail = detail or self.example
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        self.headers = retry | (headers or {})
        self.extra = extra
        super().__init__(self.detail)


class InternalError(ServiceError):
    close = Close.INTERNAL


class MalformedRequest(ServiceError):
    status, code, title = 400, "malformed_request", "The request cannot be read"
    example = "The body is not valid multipart/form-data: it has no boundary. Send the file as form field 'file'."


class EmptyFile(ServiceError):
    status, code, title = 400, "empty_file", "The file is empty"
    example = "The uploaded file has 0 bytes. Check that the recording was saved before it was sent."


class TruncatedVideo(ServiceError):
    status, code, title = 400, "truncated_video", "The video is truncated"
    example = "The video ends before its index: the recording or the upload was cut short. Send the whole file."


class Unauthorized(ServiceError):
    status, code, title = 401, "unauthorized", "A token is required"
    example = "Training requires the value of TRAINING_TOKEN: send the header 'Authorization: Bearer TOKEN'."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class TrainingForbidden(ServiceError):
    status, code, title = 403, "training_forbidden", "Training is not open to this client"
    example = (
        "Without TRAINING_TOKEN, training is only available on the service's own machine. Set a token and send it."
    )


class HostRefused(ServiceError):
    status, code, title = 403, "host_refused", "The service does not answer under this host name"
    example = "Host glossline.example refused: add it to ALLOWED_HOSTS if the service should answer under that name."


class OriginRefused(ServiceError):
    status, code, title = 403, "origin_refused", "Pages of this origin may not use the service"
    example = "Origin http://localhost:5173 refused: add it to CORS_ORIGINS if its pages may use this service."


class NotFound(ServiceError):
    status, code, title = 404, "not_found", "Not found"
    example = "No page or route has this address. The routes are listed at /docs."


class UnknownDataset(ServiceError):
    status, code, title = 404, "unknown_dataset", "Unknown dataset"
    example = "There is no dataset 'sings' in DATASETS_DIR (available: signs)."


class UnknownConfig(ServiceError):
    status, code, title = 404, "unknown_config", "Unknown config"
    example = "There is no config 'asl' in CONFIGS_DIR (available: asl_everyday)."


class UnknownJob(ServiceError):
    status, code, title = 404, "unknown_job", "Unknown training job"
    example = "There is no training job with this id. GET /api/training/jobs lists all jobs."


class UnknownCheckpoint(ServiceError):
    status, code, title = 404, "unknown_checkpoint", "Unknown checkpoint"
    example = "There is no checkpoint with this id. GET /api/training/checkpoints lists all checkpoints."


class MethodNotAllowed(ServiceError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"
    example = "DELETE is not supported here. The header Allow lists the supported methods."


class UploadTimeout(ServiceError):
    status, code, title = 408, "upload_timeout", "The upload stalled"
    example = "Nothing arrived for 30 seconds. Send the file again over a better connection."


class TooManyJobs(ServiceError):
    status, code, title = 409, "too_many_jobs", "Training job limit reached"
    example = "1 training job is already running, the maximum that MAX_TRAINING_JOBS allows. Wait for it or stop it."


class GpuInUse(ServiceError):
    status, code, title = 409, "gpu_in_use", "The GPU is in use"
    example = "This job would run on cuda:0, which the service uses. Request gpu_sharing 'share' or device 'cpu'."


class WrongState(ServiceError):
    status, code, title = 409, "wrong_state", "The job's state does not allow this"
    example = "The job is finished: there is nothing to stop."


class UploadTooLarge(ServiceError):
    status, code, title = 413, "upload_too_large", "The upload is too large"
    example = "The body is larger than 200 MiB, the limit of this service. Send a shorter or smaller video."


class VideoTooLong(ServiceError):
    status, code, title = 413, "video_too_long", "The video is too long"
    example = "The video lasts 36000 s; the limit is 120 s. Split it."


class UnsupportedMediaType(ServiceError):
    status, code, title = 415, "unsupported_media_type", "Unsupported content type"
    example = "The body is 'text/plain'. Send multipart/form-data with the file in the field 'file'."


class NotAVideo(ServiceError):
    status, code, title = 415, "not_a_video", "This file is not a video"
    example = "The content is a PDF document. Send MP4, WebM, MOV, MKV or AVI."


class NotLandmarks(ServiceError):
    status, code, title = 415, "not_landmarks", "This file contains no landmarks"
    example = "The content is neither .npz, .pose nor JSON landmarks. The layouts are described at /docs."


class InvalidRequest(ServiceError):
    status, code, title = 422, "invalid_request", "The request does not have the expected form"
    example = "fps: Input should be less than or equal to 240"


class NoVideoStream(ServiceError):
    status, code, title = 422, "no_video_stream", "The file has no video track"
    example = "The file contains only audio. Send a recording with a video track."


class BadDimensions(ServiceError):
    status, code, title = 422, "bad_dimensions", "Unsupported image size"
    example = "The image is 8000x8000; each side must have 16 to 8192 pixels, the whole at most 9437184. Scale it down."


class BadFrameRate(ServiceError):
    status, code, title = 422, "bad_rate", "Unsupported frame rate"
    example = "The video claims 0 frames per second. Convert it, for example with: ffmpeg -i in.mp4 -r 25 out.mp4"


class UndecodableVideo(ServiceError):
    status, code, title = 422, "undecodable_video", "The video cannot be decoded"
    example = "No frame of the video could be decoded. Convert it to MP4 (H.264) or WebM (VP8, VP9)."


class TooExpensive(ServiceError):
    status, code, title = 422, "too_expensive", "Decoding this would take too long"
    example = "The image is a JPEG of more than 32 scans. Save it again as baseline JPEG."


class InvalidFrames(ServiceError):
    status, code, title = 422, "invalid_frames", "A frame cannot be used"
    example = "frames[3] is not a JPEG image. Send base64 of JPEG files, all of the same size."


class InvalidLandmarks(ServiceError):
    status, code, title = 422, "invalid_landmarks", "The landmarks cannot be used"
    example = "expected landmarks of shape (frames, 75, 3), got (30, 54, 3)"


class CheckpointRefused(ServiceError):
    status, code, title = 422, "checkpoint_refused", "The checkpoint cannot be used"
    example = "The weights are damaged. The active recogniser stays in use."


class Busy(ServiceError):
    status, code, title = 503, "busy", "The service is at capacity"
    example = "32 requests are already running or waiting. Try again in 2 seconds (header Retry-After)."
    retry_after_s = 2


class ClipTimeout(ServiceError):
    status, code, title = 503, "clip_timeout", "The clip was not read in time"
    example = "Reading the clip took more than 60 s plus 10 s for each second of it. Send a smaller clip, or try later."
    retry_after_s = 30


class NotReady(ServiceError):
    status, code, title = 503, "not_ready", "The service is not ready"
    example = "The recogniser is not loaded yet, or the service is shutting down. Try again in a moment."
    retry_after_s = 5


class DatabaseUnavailable(ServiceError):
    status, code, title = 503, "database_unavailable", "The database is unavailable"
    example = "The database that holds training jobs does not respond. Start it, or correct DATABASE_URL."
    retry_after_s = 5


class TrainingUnavailable(ServiceError):
    status, code, title = 503, "training_unavailable", "Training cannot run on this machine"
    example = "Training needs tensorboard, which is not installed: pip install -r requirements-train.txt."


class OutOfMemory(ServiceError):
    status, code, title = 503, "out_of_memory", "The clip does not fit into memory"
    example = "The GPU ran out of memory on this clip, even on its own. Send a shorter clip, or try again later."


class DeviceFault(ServiceError):
    status, code, title = 503, "device_fault", "The GPU has failed"
    example = "The CUDA device reported an error that lasts until the service is restarted."
    close = Close.INTERNAL


class ExtractorUnavailable(ServiceError):
    status, code, title = 503, "landmarks_unavailable", "Landmark extraction is unavailable on this machine"
    example = "MediaPipe does not work on this machine; `python -m app doctor` says why. Sending landmarks still works."
    close = Close.INTERNAL


class InsufficientStorage(ServiceError):
    status, code, title = 507, "insufficient_storage", "No disk space for the upload"
    example = "The disk that holds uploads is full. Free space in the directory of TMPDIR, then send the file again."


# -- of live sessions --------------------------------------------------------------------------------------------------


class LiveError(ServiceError):
    """Base of the errors that occur in live sessions alone. One without a close code names a message that could not be
    used; the session continues."""


class MalformedMessage(LiveError):
    status, code, title = 400, "malformed_message", "The message cannot be read"
    example = "The message is not valid JSON."


class UnknownType(LiveError):
    status, code, title = 400, "unknown_type", "There is no such message type"
    example = "unknown message type 'dance'; known are start, frame, landmarks, flush, pause, ack, ping and stop."


class InvalidMessage(LiveError):
    status, code, title = 422, "invalid_message", "The message does not have the expected form"
    example = "points: Field required"


class InvalidFrame(LiveError):
    status, code, title = 422, "invalid_frame", "The image of a message cannot be used"
    example = "The image is not base64. Send base64 of a JPEG."


class BadTimestamp(LiveError):
    status, code, title = 422, "bad_timestamp", "The capture time cannot be used"
    example = "The capture time is not later than that of the frame before; the frame was not used."


class BadStart(LiveError):
    status, code, title = 422, "bad_start", "The session cannot begin like this"
    example = "sign_language: this service reads 'ase', not 'gsg'."
    close = Close.BAD_START


class UnknownSession(LiveError):
    status, code, title = 404, "unknown_session", "There is no such session"
    example = "There is no such session (any more); start a new one."
    close = Close.BAD_START


class TooBig(LiveError):
    status, code, title = 413, "too_big", "The message is too large"
    example = "A message is limited to 1048576 bytes. Scale the image down."
    close = Close.TOO_BIG


class TooFast(LiveError):
    status, code, title = 429, "too_fast", "Too many messages a second"
    example = "More than 100 messages a second; send fewer frames."
    close = Close.TOO_FAST


class TooManyFaults(LiveError):
    status, code, title = 429, "too_many_faults", "Too many messages could not be used"
    example = "200 messages could not be used. The errors before this one say why."
    close = Close.POLICY


class TooManyAttempts(LiveError):
    status, code, title = 429, "too_many_attempts", "Too many connections in a short time"
    example = "Too many connections from this address in a short time; wait a few seconds."
    close = Close.TOO_FAST


class AddressFull(LiveError):
    status, code, title = 429, "address_full", "Too many connections of one address"
    example = "4 connections are open from this address, the limit per address."
    close = Close.FULL


class Full(LiveError):
    """What Busy is for requests; live clients have always known it by this code, and the close code."""

    status, code, title = 503, "full", "All live sessions are taken"
    example = "16 live sessions are open, the limit of this service. Try again later."
    close = Close.FULL


class Draining(LiveError):
    """What NotReady is for requests; live clients have always known it by this code, and the close code."""

    status, code, title = 503, "draining", "The service is shutting down"
    example = "The service is shutting down; connect again in a moment."
    close = Close.DRAINING


class SlowReader(LiveError):
    status, code, title = 408, "slow_reader", "The client does not read its events"
    example = "The client does not read its captions fast enough."
    close = Close.POLICY


class TakenOver(LiveError):
    status, code, title = 409, "taken_over", "Another connection has the session"
    example = "The session was taken over by another connection."
    close = Close.POLICY


class Idle(LiveError):
    status, code, title = 408, "idle", "Nothing came from the client"
    example = "Nothing came for 60 seconds."
    close = Close.IDLE


class SessionTooLong(LiveError):
    status, code, title = 408, "too_long", "The session reached its limit"
    example = "The session reached its four-hour limit."
    close = Close.TOO_LONG


def all_errors() -> list[type[ServiceError]]:
    """Every documented error, by status, then code; without LiveError, a base that is never raised."""
    found: list[type[ServiceError]] = []
    pending = ServiceError.__subclasses__()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind is not LiveError:
            found.append(kind)
    return sorted(found, key=lambda error: (error.status, error.code))
