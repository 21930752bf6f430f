"""Pipeline exceptions become documented errors of the service, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.core import errors
from app.pipeline.keypoints import InvalidKeypoints
from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.landmark_files import InvalidLandmarkFile
from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, LandmarksUnavailable
from app.pipeline.module1_preprocessing.video import InvalidVideo
from app.pipeline.module3_sequence.prototypes import NoPrototypes
from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary

_VIDEO: dict[str, type[errors.ServiceError]] = {
    "empty": errors.EmptyFile,
    "truncated": errors.TruncatedVideo,
    "too_large": errors.UploadTooLarge,
    "too_long": errors.VideoTooLong,
    "not_a_video": errors.NotAVideo,
    "no_video_stream": errors.NoVideoStream,
    "bad_dimensions": errors.BadDimensions,
    "bad_rate": errors.BadFrameRate,
    "undecodable": errors.UndecodableVideo,
    "too_expensive": errors.TooExpensive,
}
_IMAGES: dict[str, type[errors.ServiceError]] = {
    "bad_dimensions": errors.BadDimensions,
    "too_expensive": errors.TooExpensive,
}
_LANDMARKS: dict[str, type[errors.ServiceError]] = {
    "empty": errors.EmptyFile,
    "too_large": errors.UploadTooLarge,
    "too_long": errors.VideoTooLong,
    "not_landmarks": errors.NotLandmarks,
    "not_json": errors.NotLandmarks,
}


def sentence(problem: Exception) -> str:
    """The message of an exception as a sentence."""
    text = str(problem).strip()
    text = text if text.startswith("frames[") else text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


@contextmanager
def pipeline_errors_as_service_errors() -> Iterator[None]:
    """Re-raise pipeline exceptions as the matching documented error, with the pipeline's message."""
    try:
        yield
    except InvalidVideo as problem:
        raise _VIDEO.get(problem.code, errors.UndecodableVideo)(sentence(problem)) from problem
    except InvalidImage as problem:
        raise _IMAGES.get(problem.code, errors.InvalidFrames)(sentence(problem)) from problem
    except InvalidLandmarkFile as problem:
        raise _LANDMARKS.get(problem.code, errors.InvalidLandmarks)(sentence(problem)) from problem
    except UnknownVocabulary as problem:
        where = "GET /api/vocabularies lists the vocabularies and their glosses."
        raise errors.UnknownVocabulary(f"{sentence(problem)} {where}") from problem
    except NoPrototypes as problem:
        raise errors.UnknownVocabulary(sentence(problem)) from problem
    except InvalidKeypoints as problem:
        raise errors.InvalidLandmarks(sentence(problem)) from problem
    except LandmarksUnavailable as problem:
        raise errors.ExtractorUnavailable(sentence(problem)) from problem
    except ExtractionFailed as problem:
        raise errors.ExtractorUnavailable(
            "Finding the landmarks failed on this clip. Try again; if it fails again, convert the video first."
        ) from problem
