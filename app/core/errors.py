"""Errors of the service: one class = one HTTP status = one stable code = one documented answer."""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """Base of every documented error. `detail` says what happened, why, and what to do, and reveals no internals."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    example: ClassVar[str] = "An unexpected error. The request id in this answer identifies it in the service's log."

    def __init__(self, detail: str | None = None, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        self.detail = detail or self.example
        self.headers = headers or {}
        self.extra = extra
        super().__init__(self.detail)


class InternalError(ServiceError):
    pass


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
    example = "The picture is a JPEG of more than 32 scans. Save it again as baseline JPEG."


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

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class ClipTimeout(ServiceError):
    status, code, title = 503, "clip_timeout", "The clip was not read in time"
    example = "Reading the clip took more than 60 s plus 10 s for each second of it. Send a smaller clip, or try later."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "30"})


class NotReady(ServiceError):
    status, code, title = 503, "not_ready", "The service is not ready"
    example = "The recogniser is not loaded yet, or the service is shutting down. Try again in a moment."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


class DatabaseUnavailable(ServiceError):
    status, code, title = 503, "database_unavailable", "The database is unavailable"
    example = "The database that holds training jobs does not respond. Start it, or correct DATABASE_URL."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


class TrainingUnavailable(ServiceError):
    status, code, title = 503, "training_unavailable", "Training cannot run on this machine"
    example = "Training needs tensorboard, which is not installed: pip install -r requirements-train.txt."


class OutOfMemory(ServiceError):
    status, code, title = 503, "out_of_memory", "The clip does not fit into memory"
    example = "The GPU ran out of memory on this clip, even on its own. Send a shorter clip, or try again later."


class DeviceFault(ServiceError):
    status, code, title = 503, "device_fault", "The GPU has failed"
    example = "The CUDA device reported an error that lasts until the service is restarted."


class ExtractorUnavailable(ServiceError):
    status, code, title = 503, "landmarks_unavailable", "Landmark extraction is unavailable on this machine"
    example = "MediaPipe does not work on this machine; `python -m app doctor` says why. Sending landmarks still works."


class InsufficientStorage(ServiceError):
    status, code, title = 507, "insufficient_storage", "No disk space for the upload"
    example = "The disk that holds uploads is full. Free space in the directory of TMPDIR, then send the file again."


def all_errors() -> list[type[ServiceError]]:
    """Every documented error, by status, then code."""
    return sorted(ServiceError.__subclasses__(), key=lambda error: (error.status, error.code))
