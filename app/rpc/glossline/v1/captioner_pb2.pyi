from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecogniseRequest(_message.Message):
    __slots__ = ("clip", "vocabulary", "save", "sign_sets")
    CLIP_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    SIGN_SETS_FIELD_NUMBER: _ClassVar[int]
    clip: Clip
    vocabulary: Vocabulary
    save: bool
    sign_sets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, clip: _Optional[_Union[Clip, _Mapping]] = ..., vocabulary: _Optional[_Union[Vocabulary, _Mapping]] = ..., save: bool = ..., sign_sets: _Optional[_Iterable[str]] = ...) -> None: ...

class RecogniseBatchRequest(_message.Message):
    __slots__ = ("clips", "vocabulary", "save", "sign_sets")
    CLIPS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    SIGN_SETS_FIELD_NUMBER: _ClassVar[int]
    clips: _containers.RepeatedCompositeFieldContainer[Clip]
    vocabulary: Vocabulary
    save: bool
    sign_sets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, clips: _Optional[_Iterable[_Union[Clip, _Mapping]]] = ..., vocabulary: _Optional[_Union[Vocabulary, _Mapping]] = ..., save: bool = ..., sign_sets: _Optional[_Iterable[str]] = ...) -> None: ...

class Vocabulary(_message.Message):
    __slots__ = ("name", "glosses")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GLOSSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    glosses: Glosses
    def __init__(self, name: _Optional[str] = ..., glosses: _Optional[_Union[Glosses, _Mapping]] = ...) -> None: ...

class Glosses(_message.Message):
    __slots__ = ("gloss",)
    GLOSS_FIELD_NUMBER: _ClassVar[int]
    gloss: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, gloss: _Optional[_Iterable[str]] = ...) -> None: ...

class Clip(_message.Message):
    __slots__ = ("video", "frames", "landmarks")
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    video: bytes
    frames: Frames
    landmarks: ClipLandmarks
    def __init__(self, video: _Optional[bytes] = ..., frames: _Optional[_Union[Frames, _Mapping]] = ..., landmarks: _Optional[_Union[ClipLandmarks, _Mapping]] = ...) -> None: ...

class Frames(_message.Message):
    __slots__ = ("jpeg", "fps")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    jpeg: _containers.RepeatedScalarFieldContainer[bytes]
    fps: float
    def __init__(self, jpeg: _Optional[_Iterable[bytes]] = ..., fps: _Optional[float] = ...) -> None: ...

class ClipLandmarks(_message.Message):
    __slots__ = ("points", "fps", "aspect")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    points: PackedPoints
    fps: float
    aspect: float
    def __init__(self, points: _Optional[_Union[PackedPoints, _Mapping]] = ..., fps: _Optional[float] = ..., aspect: _Optional[float] = ...) -> None: ...

class PackedPoints(_message.Message):
    __slots__ = ("float32", "float16")
    FLOAT32_FIELD_NUMBER: _ClassVar[int]
    FLOAT16_FIELD_NUMBER: _ClassVar[int]
    float32: bytes
    float16: bytes
    def __init__(self, float32: _Optional[bytes] = ..., float16: _Optional[bytes] = ...) -> None: ...

class Recognition(_message.Message):
    __slots__ = ("gloss", "sentence", "confidence", "fps", "frame_count", "duration_s", "segments", "text", "attention", "warnings", "processing_time_s", "model", "vocabulary", "by_rules")
    GLOSS_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIME_S_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    BY_RULES_FIELD_NUMBER: _ClassVar[int]
    gloss: _containers.RepeatedScalarFieldContainer[str]
    sentence: str
    confidence: float
    fps: float
    frame_count: int
    duration_s: float
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    text: Text
    attention: Attention
    warnings: _containers.RepeatedCompositeFieldContainer[ClipWarning]
    processing_time_s: float
    model: str
    vocabulary: str
    by_rules: str
    def __init__(self, gloss: _Optional[_Iterable[str]] = ..., sentence: _Optional[str] = ..., confidence: _Optional[float] = ..., fps: _Optional[float] = ..., frame_count: _Optional[int] = ..., duration_s: _Optional[float] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., attention: _Optional[_Union[Attention, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[ClipWarning, _Mapping]]] = ..., processing_time_s: _Optional[float] = ..., model: _Optional[str] = ..., vocabulary: _Optional[str] = ..., by_rules: _Optional[str] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("gloss", "start_s", "end_s", "confidence", "unsure")
    GLOSS_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    UNSURE_FIELD_NUMBER: _ClassVar[int]
    gloss: str
    start_s: float
    end_s: float
    confidence: float
    unsure: bool
    def __init__(self, gloss: _Optional[str] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., confidence: _Optional[float] = ..., unsure: bool = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("en", "es")
    EN_FIELD_NUMBER: _ClassVar[int]
    ES_FIELD_NUMBER: _ClassVar[int]
    en: str
    es: str
    def __init__(self, en: _Optional[str] = ..., es: _Optional[str] = ...) -> None: ...

class Attention(_message.Message):
    __slots__ = ("rgb", "pose")
    RGB_FIELD_NUMBER: _ClassVar[int]
    POSE_FIELD_NUMBER: _ClassVar[int]
    rgb: float
    pose: float
    def __init__(self, rgb: _Optional[float] = ..., pose: _Optional[float] = ...) -> None: ...

class ClipWarning(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class RecogniseBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ClipResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ClipResult, _Mapping]]] = ...) -> None: ...

class ClipResult(_message.Message):
    __slots__ = ("recognition", "problem")
    RECOGNITION_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    recognition: Recognition
    problem: Problem
    def __init__(self, recognition: _Optional[_Union[Recognition, _Mapping]] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "message", "status")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    status: int
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., status: _Optional[int] = ...) -> None: ...

class StreamCaptionsRequest(_message.Message):
    __slots__ = ("start", "picture", "landmarks", "flush", "pause", "ack", "ping", "stop", "vocabulary")
    START_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    start: Start
    picture: Picture
    landmarks: Landmarks
    flush: Flush
    pause: Pause
    ack: Ack
    ping: Ping
    stop: Stop
    vocabulary: Vocabulary
    def __init__(self, start: _Optional[_Union[Start, _Mapping]] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., landmarks: _Optional[_Union[Landmarks, _Mapping]] = ..., flush: _Optional[_Union[Flush, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ..., vocabulary: _Optional[_Union[Vocabulary, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("sign_language", "targets", "interim", "window", "stride", "endpoint_ms", "fps", "aspect", "save", "resume", "landmarks", "vocabulary", "sign_sets", "follow", "voice", "own_voice")
    SIGN_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    INTERIM_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_MS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    SIGN_SETS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    OWN_VOICE_FIELD_NUMBER: _ClassVar[int]
    sign_language: str
    targets: _containers.RepeatedScalarFieldContainer[str]
    interim: bool
    window: int
    stride: int
    endpoint_ms: int
    fps: float
    aspect: float
    save: bool
    resume: Resume
    landmarks: bool
    vocabulary: Vocabulary
    sign_sets: _containers.RepeatedScalarFieldContainer[str]
    follow: str
    voice: str
    own_voice: bool
    def __init__(self, sign_language: _Optional[str] = ..., targets: _Optional[_Iterable[str]] = ..., interim: bool = ..., window: _Optional[int] = ..., stride: _Optional[int] = ..., endpoint_ms: _Optional[int] = ..., fps: _Optional[float] = ..., aspect: _Optional[float] = ..., save: bool = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., landmarks: bool = ..., vocabulary: _Optional[_Union[Vocabulary, _Mapping]] = ..., sign_sets: _Optional[_Iterable[str]] = ..., follow: _Optional[str] = ..., voice: _Optional[str] = ..., own_voice: bool = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("session_id", "token", "last_seq")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    token: str
    last_seq: int
    def __init__(self, session_id: _Optional[str] = ..., token: _Optional[str] = ..., last_seq: _Optional[int] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("data", "time_us")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    time_us: int
    def __init__(self, data: _Optional[bytes] = ..., time_us: _Optional[int] = ...) -> None: ...

class Landmarks(_message.Message):
    __slots__ = ("points", "time_us")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    points: PackedPoints
    time_us: int
    def __init__(self, points: _Optional[_Union[PackedPoints, _Mapping]] = ..., time_us: _Optional[int] = ...) -> None: ...

class Flush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pause(_message.Message):
    __slots__ = ("paused",)
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    def __init__(self, paused: bool = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Stop(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamCaptionsResponse(_message.Message):
    __slots__ = ("seq", "ready", "partial", "final", "stats", "warning", "error", "closing", "done", "pong", "landmarks", "vocabulary", "audio")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    seq: int
    ready: Ready
    partial: Caption
    final: Caption
    stats: Stats
    warning: Warning
    error: Error
    closing: Closing
    done: Done
    pong: Pong
    landmarks: FoundLandmarks
    vocabulary: VocabularyChanged
    audio: Audio
    def __init__(self, seq: _Optional[int] = ..., ready: _Optional[_Union[Ready, _Mapping]] = ..., partial: _Optional[_Union[Caption, _Mapping]] = ..., final: _Optional[_Union[Caption, _Mapping]] = ..., stats: _Optional[_Union[Stats, _Mapping]] = ..., warning: _Optional[_Union[Warning, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., closing: _Optional[_Union[Closing, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., landmarks: _Optional[_Union[FoundLandmarks, _Mapping]] = ..., vocabulary: _Optional[_Union[VocabularyChanged, _Mapping]] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("session_id", "resume_token", "config", "model", "limits", "vocabulary", "history_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    config: Config
    model: Model
    limits: Limits
    vocabulary: VocabularyInUse
    history_id: str
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., config: _Optional[_Union[Config, _Mapping]] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., vocabulary: _Optional[_Union[VocabularyInUse, _Mapping]] = ..., history_id: _Optional[str] = ...) -> None: ...

class VocabularyInUse(_message.Message):
    __slots__ = ("name", "glosses")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GLOSSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    glosses: int
    def __init__(self, name: _Optional[str] = ..., glosses: _Optional[int] = ...) -> None: ...

class VocabularyChanged(_message.Message):
    __slots__ = ("vocabulary",)
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    vocabulary: VocabularyInUse
    def __init__(self, vocabulary: _Optional[_Union[VocabularyInUse, _Mapping]] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("sign_language", "targets", "interim", "window", "stride", "endpoint_ms", "fps", "aspect", "save", "landmarks", "vocabulary", "sign_sets", "voice", "own_voice")
    SIGN_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    INTERIM_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_MS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    SIGN_SETS_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    OWN_VOICE_FIELD_NUMBER: _ClassVar[int]
    sign_language: str
    targets: _containers.RepeatedScalarFieldContainer[str]
    interim: bool
    window: int
    stride: int
    endpoint_ms: int
    fps: float
    aspect: float
    save: bool
    landmarks: bool
    vocabulary: str
    sign_sets: _containers.RepeatedScalarFieldContainer[str]
    voice: str
    own_voice: str
    def __init__(self, sign_language: _Optional[str] = ..., targets: _Optional[_Iterable[str]] = ..., interim: bool = ..., window: _Optional[int] = ..., stride: _Optional[int] = ..., endpoint_ms: _Optional[int] = ..., fps: _Optional[float] = ..., aspect: _Optional[float] = ..., save: bool = ..., landmarks: bool = ..., vocabulary: _Optional[str] = ..., sign_sets: _Optional[_Iterable[str]] = ..., voice: _Optional[str] = ..., own_voice: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "glosses", "sign_language", "fps")
    ID_FIELD_NUMBER: _ClassVar[int]
    GLOSSES_FIELD_NUMBER: _ClassVar[int]
    SIGN_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    id: str
    glosses: int
    sign_language: str
    fps: float
    def __init__(self, id: _Optional[str] = ..., glosses: _Optional[int] = ..., sign_language: _Optional[str] = ..., fps: _Optional[float] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("idle_s", "session_s", "resume_s", "landmark_frames_per_message")
    IDLE_S_FIELD_NUMBER: _ClassVar[int]
    SESSION_S_FIELD_NUMBER: _ClassVar[int]
    RESUME_S_FIELD_NUMBER: _ClassVar[int]
    LANDMARK_FRAMES_PER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    idle_s: float
    session_s: float
    resume_s: float
    landmark_frames_per_message: int
    def __init__(self, idle_s: _Optional[float] = ..., session_s: _Optional[float] = ..., resume_s: _Optional[float] = ..., landmark_frames_per_message: _Optional[int] = ...) -> None: ...

class Caption(_message.Message):
    __slots__ = ("segment", "revision", "start_ms", "end_ms", "until_ms", "gloss", "gloss_text", "sentence", "text", "confidence", "lag_ms", "attention", "reason", "vocabulary", "by_rules")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    GLOSS_FIELD_NUMBER: _ClassVar[int]
    GLOSS_TEXT_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LAG_MS_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    BY_RULES_FIELD_NUMBER: _ClassVar[int]
    segment: int
    revision: int
    start_ms: int
    end_ms: int
    until_ms: int
    gloss: _containers.RepeatedCompositeFieldContainer[Gloss]
    gloss_text: str
    sentence: str
    text: Text
    confidence: float
    lag_ms: float
    attention: Attention
    reason: str
    vocabulary: str
    by_rules: str
    def __init__(self, segment: _Optional[int] = ..., revision: _Optional[int] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., gloss: _Optional[_Iterable[_Union[Gloss, _Mapping]]] = ..., gloss_text: _Optional[str] = ..., sentence: _Optional[str] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., confidence: _Optional[float] = ..., lag_ms: _Optional[float] = ..., attention: _Optional[_Union[Attention, _Mapping]] = ..., reason: _Optional[str] = ..., vocabulary: _Optional[str] = ..., by_rules: _Optional[str] = ...) -> None: ...

class Gloss(_message.Message):
    __slots__ = ("gloss", "confidence", "start_ms", "end_ms", "final", "unsure")
    GLOSS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    UNSURE_FIELD_NUMBER: _ClassVar[int]
    gloss: str
    confidence: float
    start_ms: int
    end_ms: int
    final: bool
    unsure: bool
    def __init__(self, gloss: _Optional[str] = ..., confidence: _Optional[float] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., final: bool = ..., unsure: bool = ...) -> None: ...

class FoundLandmarks(_message.Message):
    __slots__ = ("points", "at_ms")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    points: PackedPoints
    at_ms: int
    def __init__(self, points: _Optional[_Union[PackedPoints, _Mapping]] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Audio(_message.Message):
    __slots__ = ("segment", "language", "rate", "data", "last")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    segment: int
    language: str
    rate: int
    data: bytes
    last: bool
    def __init__(self, segment: _Optional[int] = ..., language: _Optional[str] = ..., rate: _Optional[int] = ..., data: _Optional[bytes] = ..., last: bool = ...) -> None: ...

class Stats(_message.Message):
    __slots__ = ("received", "used", "dropped", "lag_ms", "fps", "credits_remaining")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    LAG_MS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    CREDITS_REMAINING_FIELD_NUMBER: _ClassVar[int]
    received: int
    used: int
    dropped: int
    lag_ms: float
    fps: float
    credits_remaining: float
    def __init__(self, received: _Optional[int] = ..., used: _Optional[int] = ..., dropped: _Optional[int] = ..., lag_ms: _Optional[float] = ..., fps: _Optional[float] = ..., credits_remaining: _Optional[float] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "fatal")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    fatal: bool
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., fatal: bool = ...) -> None: ...

class Closing(_message.Message):
    __slots__ = ("reason", "resume_token")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reason: str
    resume_token: str
    def __init__(self, reason: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("usage",)
    USAGE_FIELD_NUMBER: _ClassVar[int]
    usage: Usage
    def __init__(self, usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("seconds", "received", "used", "dropped", "segments")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    received: int
    used: int
    dropped: int
    segments: int
    def __init__(self, seconds: _Optional[float] = ..., received: _Optional[int] = ..., used: _Optional[int] = ..., dropped: _Optional[int] = ..., segments: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
