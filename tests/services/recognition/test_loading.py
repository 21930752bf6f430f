from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from loguru import logger

from app.core.settings import Settings, SettingsError
from app.pipeline.backends.export import export_checkpoint
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, NgramModel
from app.services.recognition.loading import load_recogniser
from tests.services.recognition.test_service import clip
from tests.support.image_recognisers import image_checkpoint
from tests.support.services import clip_service, model_host


@pytest.fixture
def onnx_settings(tiny_settings: Settings, tmp_path: Path) -> Settings:
    """The tiny recogniser on ONNX Runtime, not exported yet."""
    shutil.copytree(tiny_settings.checkpoint_path, tmp_path / "tiny")
    return tiny_settings.model_copy(update={"checkpoint_dir": tmp_path, "inference_backend": "onnx"})


async def test_the_service_answers_the_same_on_onnx_runtime(onnx_settings: Settings) -> None:
    export_checkpoint(onnx_settings.checkpoint_path, "onnx")
    answers = []
    for backend in ("torch", "onnx"):
        async with clip_service(onnx_settings, inference_backend=backend) as (service, _):
            answers.append((await service.process_landmarks(clip())).recognition)
    assert answers[0].gloss == answers[1].gloss != []
    assert answers[0].confidence == pytest.approx(answers[1].confidence, abs=1e-4)


async def test_a_service_without_an_export_does_not_start(onnx_settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"INFERENCE_BACKEND=onnx: .* python scripts/export_onnx.py"):
        async with model_host(onnx_settings):
            pass


def test_auto_is_the_cpu_where_onnx_runtime_has_no_cuda(
    onnx_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_checkpoint(onnx_settings.checkpoint_path, "onnx")
    monkeypatch.setattr(
        "app.services.recognition.loading.resolve_device", lambda wish: "cuda:0" if wish == "auto" else wish
    )
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert load_recogniser(onnx_settings.model_copy(update={"device": "auto"})).device == "cpu"


def test_the_setting_weighs_the_language_model_of_a_checkpoint_that_has_one(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(tiny_settings.checkpoint_path, tmp_path / "tiny")
    settings = tiny_settings.model_copy(update={"checkpoint_dir": tmp_path, "gloss_lm_weight": 0.5})
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        without = load_recogniser(settings)
        NgramModel.fit([[1, 2]], without.vocabulary, 2).save(tmp_path / "tiny" / LANGUAGE_MODEL)
        assert load_recogniser(settings).config.decoder.lm_weight == 0.5
        unset = settings.model_copy(update={"gloss_lm_weight": None})
        assert load_recogniser(unset).config.decoder.lm_weight == 0.0
    finally:
        logger.remove(sink)
    assert said == ["checkpoint tiny has no gloss language model; GLOSS_LM_WEIGHT has no effect"]
    without.recognise(clip())


@pytest.mark.slow
def test_a_recogniser_that_cannot_have_its_pictures_says_so(tiny_settings: Settings, tmp_path: Path) -> None:
    for backbone in ("resnet18", "s3d"):
        image_checkpoint(tmp_path / backbone, backbone=backbone)
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        load_recogniser(tiny_settings)
        settings = tiny_settings.model_copy(update={"checkpoint_dir": tmp_path})
        load_recogniser(settings.model_copy(update={"checkpoint": "resnet18"}))
        recogniser = load_recogniser(settings.model_copy(update={"checkpoint": "s3d"}))
    finally:
        logger.remove(sink)
    assert [text.split(",")[0] for text in said] == ["checkpoint s3d was trained on images and landmarks"]
    assert recogniser.recognise(clip()).attention == {"rgb": 0.0, "pose": 1.0}
