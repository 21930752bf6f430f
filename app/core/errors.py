"""The documented errors of the service: each class has one HTTP status, one stable code, one documented answer, and
one WebSocket close code where a live session ends with it. The tables of the docs and of gRPC derive from these."""

from __future__ import annotations

import re
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
    AUTH = 4401
    NO_CREDITS = 4402
    PLAN_LIMIT = 4403
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

    def __init_subclass__(
        cls,
        *,
        status: int | None = None,
        code: str | None = None,
        title: str | None = None,
        close: Close | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """code: default the name of the class, in lower case with underscores. What else is left out is inherited."""
        super().__init_subclass__()
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.status, cls.title = status or cls.status, title or cls.title
        cls.close, cls.retry_after_s = close or cls.close, retry_after_s or cls.retry_after_s

    def __init__(self, detail: str | None = None, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        """detail: what happened, why, and what to do, without internals."""
        self.detail = detail or self.example
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        self.headers = retry | (headers or {})
        self.extra = extra
        super().__init__(self.detail)


class InternalError(ServiceError, close=Close.INTERNAL):
    """Whatever is not foreseen."""


class MalformedRequest(ServiceError, status=400, title="The request cannot be read"):
    example = "The body is not valid multipart/form-data: it has no boundary. Send the file as form field 'file'."


class EmptyFile(ServiceError, status=400, title="The file is empty"):
    example = "The uploaded file has 0 bytes. Check that the recording was saved before it was sent."


class InvalidSignature(ServiceError, status=400, title="The signature does not match"):
    example = "The header Stripe-Signature does not sign this body, or did so more than 5 minutes ago."


class TruncatedVideo(ServiceError, status=400, title="The video is truncated"):
    example = "The video ends before its index: the recording or the upload was cut short. Send the whole file."


class Unauthorized(ServiceError, status=401, title="A token is required"):
    example = "Training requires the value of TRAINING_TOKEN: send the header 'Authorization: Bearer TOKEN'."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Unauthenticated(ServiceError, status=401, title="Signing in is required", close=Close.AUTH):
    """Nothing was sent that says who asks, or what was sent is not valid."""

    example = (
        "This service answers only those who sign in. Send 'Authorization: Bearer' with the access token of POST "
        "/api/auth/sign-in, or with an API key."
    )

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class BadCredentials(ServiceError, status=401, title="E-mail address, password or code is wrong"):
    example = "There is no account with this e-mail address and password. Check both, or ask for a password reset."


class SecondFactorRequired(ServiceError, status=401, title="A code of the second factor is required"):
    example = "This account has a second factor. Send the six digits that your authenticator shows as 'code'."


class Forbidden(ServiceError, status=403, title="This account or key may not do this", close=Close.AUTH):
    example = "This needs the role 'operator'; the account has 'user'. An admin can change it."


class InsufficientCredits(ServiceError, status=402, title="Not enough credits", close=Close.NO_CREDITS):
    """Its answer also has `needed`, `available` and `missing`, in credits."""

    example = (
        "This clip costs 12 credits and 5 are left: 7 are missing. Credits come with each month; POST "
        "/api/billing/checkout leads to a plan with more."
    )


class PlanLimit(ServiceError, status=403, title="The plan does not allow this", close=Close.PLAN_LIMIT):
    """Its answer also has `limit`, the name of the limit in GET /api/billing/plans."""

    example = "The plan Free allows 1 live session at once, and 1 is open. GET /api/billing/plans lists the plans."


class TrainingForbidden(ServiceError, status=403, title="Training is not open to this client"):
    example = (
        "Without TRAINING_TOKEN, training is only available on the service's own machine. Set a token and send it."
    )


class HostRefused(ServiceError, status=403, title="The service does not answer under this host name"):
    example = "Host glossline.example refused: add it to ALLOWED_HOSTS if the service should answer under that name."


class OriginRefused(ServiceError, status=403, title="Pages of this origin may not use the service"):
    example = "Origin http://localhost:5173 refused: add it to CORS_ORIGINS if its pages may use this service."


class NotFound(ServiceError, status=404, title="Not found"):
    example = "No page or route has this address. The routes are listed at /docs."


class UnknownDataset(ServiceError, status=404, title="Unknown dataset"):
    example = "There is no dataset 'sings' in DATASETS_DIR (available: signs)."


class UnknownConfig(ServiceError, status=404, title="Unknown config"):
    example = "There is no config 'asl' in CONFIGS_DIR (available: asl_everyday)."


class UnknownJob(ServiceError, status=404, title="Unknown training job"):
    example = "There is no training job with this id. GET /api/training/jobs lists all jobs."


class UnknownCheckpoint(ServiceError, status=404, title="Unknown checkpoint"):
    example = "There is no checkpoint with this id. GET /api/training/checkpoints lists all checkpoints."


class UnknownSign(ServiceError, status=404, title="No performance of this sign"):
    example = "There is no performance of MOTER (nearest: MOTHER, OTHER). GET /api/signs lists the signs there are."


class UnknownSignSet(ServiceError, status=404, title="No such sign set", close=Close.BAD_START):
    """Those of others are not found either."""

    example = "There is no sign set of yours with this id. GET /api/signs/sets lists them."


class NoOwnVoice(ServiceError, status=404, title="No voice of one's own"):
    example = "There is no sample of your voice. Record one with PUT /api/speech/voice."


class MethodNotAllowed(ServiceError, status=405, title="Method not allowed"):
    example = "DELETE is not supported here. The header Allow lists the supported methods."


class UploadTimeout(ServiceError, status=408, title="The upload stalled"):
    example = "Nothing arrived for 30 seconds. Send the file again over a better connection."


class EmailTaken(ServiceError, status=409, title="There is an account with this e-mail address"):
    example = "There is an account with this e-mail address already. Sign in, or ask for a password reset."


class SignExists(ServiceError, status=409, title="The set has this sign"):
    example = "The set has a sign GRANDMA already. Add recordings to that one, or take another name."


class DifferentSigns(ServiceError, status=409, title="The recordings look like different signs"):
    """Sent with `insist`, the recording is taken all the same."""

    example = (
        "These 3 recordings look like 3 different signs. Record one sign each time, in the same way; if it really is "
        "one sign that you make in different ways, insist."
    )


class TooManySigns(ServiceError, status=409, title="Limit of sign sets reached"):
    example = "The set has 500 signs, the limit. Begin another set."


class ConsentOutdated(ServiceError, status=409, title="The text of the consent has changed"):
    example = "The text has version 2, and version 1 was agreed to. Read it again (GET /api/signs/corpus)."


class SignsOutdated(ServiceError, status=409, title="The sign set cannot be read with", close=Close.BAD_START):
    example = (
        "The sign set 'Family' was taught to another recogniser than the one in use, and its landmarks were not kept. "
        "Teach its signs again; with keep_landmarks, this happens by itself."
    )


class TooManyKeys(ServiceError, status=409, title="API key limit reached"):
    example = "The account has 20 API keys, the limit of this service. Revoke one that is not in use."


class TooManyJobs(ServiceError, status=409, title="Training job limit reached"):
    example = "1 training job is already running, the maximum that MAX_TRAINING_JOBS allows. Wait for it or stop it."


class GpuInUse(ServiceError, status=409, title="The GPU is in use"):
    example = "This job would run on cuda:0, which the service uses. Request gpu_sharing 'share' or device 'cpu'."


class WrongState(ServiceError, status=409, title="The job's state does not allow this"):
    example = "The job is finished: there is nothing to stop."


class AlreadySubscribed(ServiceError, status=409, title="There is a subscription already"):
    example = "The account has a subscription. POST /api/billing/portal leads to the page where it is changed or ended."


class SubscriptionRunning(ServiceError, status=409, title="A subscription is running"):
    example = (
        "A subscription is still being paid for this account. End it with POST /api/billing/portal, then delete the "
        "account."
    )


class IdempotencyInProgress(ServiceError, status=409, title="The first request with this key is running"):
    retry_after_s = 2
    example = "A request with this Idempotency-Key is still being worked on. Ask again in a moment for its answer."


class AudioTooLong(ServiceError, status=413, title="The audio is too long"):
    example = "The audio lasts 10800 s; the limit is 600 s. Split it."


class TextTooLong(ServiceError, status=413, title="The text is too long"):
    example = "The text has 1048576 characters; the limit is 5000. Split it."


class UploadTooLarge(ServiceError, status=413, title="The upload is too large"):
    example = "The body is larger than 200 MiB, the limit of this service. Send a shorter or smaller video."


class VideoTooLong(ServiceError, status=413, title="The video is too long"):
    example = "The video lasts 36000 s; the limit is 120 s. Split it."


class UnsupportedMediaType(ServiceError, status=415, title="Unsupported content type"):
    example = "The body is 'text/plain'. Send multipart/form-data with the file in the field 'file'."


class NotAVideo(ServiceError, status=415, title="This file is not a video"):
    example = "The content is a PDF document. Send MP4, WebM, MOV, MKV or AVI."


class NotAudio(ServiceError, status=415, title="This file is no audio"):
    example = "The content is no audio file. Send WAV, MP3, Ogg, WebM, M4A or FLAC."


class NotLandmarks(ServiceError, status=415, title="This file contains no landmarks"):
    example = "The content is neither .npz, .pose nor JSON landmarks. The layouts are described at /docs."


class InvalidRequest(ServiceError, status=422, title="The request does not have the expected form"):
    example = "fps: Input should be less than or equal to 240"


class InvalidEmail(ServiceError, status=422, title="This is not an e-mail address"):
    example = "The e-mail address is not valid: it has no @. Write it as name@example.org."


class WeakPassword(ServiceError, status=422, title="The password cannot be used"):
    example = "The password has 4 characters; at least 10 are needed. Use a few words that belong to nobody's life."


class InvalidCode(ServiceError, status=422, title="The code is not valid"):
    example = "The code is not valid now. Check the clock of the authenticator and send the newest code."


class InvalidResetLink(ServiceError, status=422, title="The link of the password reset is not valid"):
    example = "This link was used already, or it is too old. Ask for another one."


class NoVideoStream(ServiceError, status=422, title="The file has no video track"):
    example = "The file contains only audio. Send a recording with a video track."


class BadDimensions(ServiceError, status=422, title="Unsupported image size"):
    example = "The image is 8000x8000; each side must have 16 to 8192 pixels, the whole at most 9437184. Scale it down."


class BadFrameRate(ServiceError, status=422, code="bad_rate", title="Unsupported frame rate"):
    example = "The video claims 0 frames per second. Convert it, for example with: ffmpeg -i in.mp4 -r 25 out.mp4"


class UndecodableVideo(ServiceError, status=422, title="The video cannot be decoded"):
    example = "No frame of the video could be decoded. Convert it to MP4 (H.264) or WebM (VP8, VP9)."


class UndecodableAudio(ServiceError, status=422, title="The audio cannot be used"):
    example = "The audio has 1000 samples a second; 4000 to 192000 can be read. Convert it."


class UnsupportedLanguage(ServiceError, status=422, title="Unsupported language", close=Close.BAD_START):
    example = "The language 'fr' is not supported; known are en, es."


class TooExpensive(ServiceError, status=422, title="Decoding this would take too long"):
    example = "The image is a JPEG of more than 32 scans. Save it again as baseline JPEG."


class InvalidFrames(ServiceError, status=422, title="A frame cannot be used"):
    example = "frames[3] is not a JPEG image. Send base64 of JPEG files, all of the same size."


class InvalidLandmarks(ServiceError, status=422, title="The landmarks cannot be used"):
    example = "expected landmarks of shape (frames, 75, 3), got (30, 54, 3)"


class RecordingRefused(ServiceError, status=422, title="Nothing can be learned from this recording"):
    """Its answer also has `reason`: no_hands, too_short or too_long."""

    example = (
        "No hand was found in the recording. Sit so that the camera sees your shoulders and both hands, with light "
        "from the front, and record it again."
    )


class InvalidSignFile(ServiceError, status=422, title="This is no file of a sign set"):
    example = "The file has version 2; this service reads version 1. Update the service, or export the set from it."


class UnknownVocabulary(ServiceError, status=422, title="Unknown vocabulary or glosses", close=Close.BAD_START):
    """In a session that has begun it is a message that could not be used, like every error of this close code."""

    example = (
        "The recogniser does not know MOTER (nearest: MOTHER, MORE, POTATO). GET /api/vocabularies lists the "
        "vocabularies and their glosses."
    )


class IdempotencyMismatch(ServiceError, status=422, title="The key belongs to another request"):
    example = "This Idempotency-Key was sent before with another request. Choose another key for each new request."


class CheckpointRefused(ServiceError, status=422, title="The checkpoint cannot be used"):
    example = "The weights are damaged. The active recogniser stays in use."


class TooManyRequests(
    ServiceError, status=429, title="Too many requests in a short time", close=Close.TOO_FAST, retry_after_s=60
):
    example = "More than 600 requests a minute. Try again in 60 seconds (header Retry-After)."


class Busy(ServiceError, status=503, title="The service is at capacity", retry_after_s=2):
    example = "32 requests are already running or waiting. Try again in 2 seconds (header Retry-After)."


class ClipTimeout(ServiceError, status=503, title="The clip was not read in time", retry_after_s=30):
    example = "Reading the clip took more than 60 s plus 10 s for each second of it. Send a smaller clip, or try later."


class NotReady(ServiceError, status=503, title="The service is not ready", retry_after_s=5):
    example = "The recogniser is not loaded yet, or the service is shutting down. Try again in a moment."


class DatabaseUnavailable(ServiceError, status=503, title="The database is unavailable", retry_after_s=5):
    example = "The database that holds accounts and training jobs does not respond. Start it, or correct DATABASE_URL."


class PaymentsUnavailable(ServiceError, status=503, title="The payment service cannot be reached", retry_after_s=10):
    example = "Stripe did not answer. Nothing was changed; try again in a moment."


class TrainingUnavailable(ServiceError, status=503, title="Training cannot run on this machine"):
    example = "Training needs tensorboard, which is not installed: pip install -r requirements-train.txt."


class CorpusUnavailable(ServiceError, status=503, title="The training corpus cannot be written", retry_after_s=60):
    example = (
        "The folder DATASETS_DIR cannot be written: permission denied. Let the service write there; what was taken "
        "back is deleted as soon as it can."
    )


class OutOfMemory(ServiceError, status=503, title="The clip does not fit into memory"):
    example = "The GPU ran out of memory on this clip, even on its own. Send a shorter clip, or try again later."


class DeviceFault(ServiceError, status=503, title="The GPU has failed", close=Close.INTERNAL):
    example = "The CUDA device reported an error that lasts until the service is restarted."


class ExtractorUnavailable(ServiceError, status=503, code="landmarks_unavailable", close=Close.INTERNAL):
    title = "Landmark extraction is unavailable on this machine"
    example = "MediaPipe does not work on this machine; `python -m app doctor` says why. Sending landmarks still works."


class SpeechUnavailable(ServiceError, status=503, title="No engine for this is installed", close=Close.INTERNAL):
    """Its answer also has `remedy`, the command or setting that brings the engine."""

    example = "faster-whisper is not installed. Install it with: python -m pip install -r requirements-speech.txt."


class SpeechFailed(ServiceError, status=503, title="The speech engine failed", retry_after_s=5):
    example = "The translation was not ready in time. Try again in a moment."


class InsufficientStorage(ServiceError, status=507, title="No disk space for the upload"):
    example = "The disk that holds uploads is full. Free space in the directory of TMPDIR, then send the file again."


# -- of live sessions --------------------------------------------------------------------------------------------------


class LiveError(ServiceError):
    """Base of the errors that occur in live sessions alone. One without a close code names a message that could not be
    used; the session continues."""


class MalformedMessage(LiveError, status=400, title="The message cannot be read"):
    example = "The message is not valid JSON."


class UnknownType(LiveError, status=400, title="There is no such message type"):
    example = (
        "unknown message type 'dance'; known are start, frame, landmarks, vocabulary, flush, pause, ack, ping and stop."
    )


class InvalidMessage(LiveError, status=422, title="The message does not have the expected form"):
    example = "points: Field required"


class InvalidFrame(LiveError, status=422, title="The image of a message cannot be used"):
    example = "The image is not base64. Send base64 of a JPEG."


class BadTimestamp(LiveError, status=422, title="The capture time cannot be used"):
    example = "The capture time is not later than that of the frame before; the frame was not used."


class BadStart(LiveError, status=422, title="The session cannot begin like this", close=Close.BAD_START):
    example = "sign_language: this service reads 'ase', not 'gsg'."


class UnknownSession(LiveError, status=404, title="There is no such session", close=Close.BAD_START):
    example = "There is no such session (any more); start a new one."


class TooBig(LiveError, status=413, title="The message is too large", close=Close.TOO_BIG):
    example = "A message is limited to 1048576 bytes. Scale the image down."


class TooFast(LiveError, status=429, title="Too many messages a second", close=Close.TOO_FAST):
    example = "More than 100 messages a second; send fewer frames."


class TooManyFaults(LiveError, status=429, title="Too many messages could not be used", close=Close.POLICY):
    example = "200 messages could not be used. The errors before this one say why."


class TooManyAttempts(LiveError, status=429, title="Too many connections in a short time", close=Close.TOO_FAST):
    example = "Too many connections from this address in a short time; wait a few seconds."


class AddressFull(LiveError, status=429, title="Too many connections of one address", close=Close.FULL):
    example = "4 connections are open from this address, the limit per address."


class Full(LiveError, status=503, title="All live sessions are taken", close=Close.FULL):
    """What Busy is for requests; live clients have always known it by this code, and the close code."""

    example = "16 live sessions are open, the limit of this service. Try again later."


class Draining(LiveError, status=503, title="The service is shutting down", close=Close.DRAINING):
    """What NotReady is for requests; live clients have always known it by this code, and the close code."""

    example = "The service is shutting down; connect again in a moment."


class SlowReader(LiveError, status=408, title="The client does not read its events", close=Close.POLICY):
    example = "The client does not read its captions fast enough."


class TakenOver(LiveError, status=409, title="Another connection has the session", close=Close.POLICY):
    example = "The session was taken over by another connection."


class Idle(LiveError, status=408, title="Nothing came from the client", close=Close.IDLE):
    example = "Nothing came for 60 seconds."


class SessionTooLong(
    LiveError, status=408, code="too_long", title="The session reached its limit", close=Close.TOO_LONG
):
    example = "The session reached its four-hour limit."


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
