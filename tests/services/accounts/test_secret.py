from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.core.settings import Settings, SettingsError
from app.services.accounts.secret import FILE, SEALED, CannotOpen, Secret


def test_without_a_setting_a_random_one_is_kept(tiny_settings: Settings, tmp_path: Path) -> None:
    settings = tiny_settings.model_copy(update={"data_dir": tmp_path / "data", "auth_secret": None})
    with ThreadPoolExecutor(8) as threads:  # as processes that start together
        made = set(threads.map(lambda _: Secret.of(settings).key("x"), range(16)))
    assert made == {Secret.of(settings).key("x")}
    file = settings.data_dir / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(settings.data_dir) == [FILE]
    elsewhere = tiny_settings.model_copy(update={"data_dir": tmp_path / "other", "auth_secret": None})
    assert Secret.of(elsewhere).key("x") not in made


def test_a_folder_that_cannot_be_written_is_named(tiny_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match="Set AUTH_SECRET"):
        Secret.of(tiny_settings.model_copy(update={"data_dir": tmp_path / "data", "auth_secret": None}))


def test_what_is_made_for_one_use_is_worth_nothing_for_another(tiny_settings: Settings) -> None:
    secret = Secret.of(tiny_settings.model_copy(update={"auth_secret": SecretStr("s" * 32)}))
    assert secret.digest("key", "x") != secret.digest("ticket", "x")
    assert len(secret.key("tokens")) == 32


def test_what_is_sealed_opens_only_for_its_owner_use_and_secret() -> None:
    secret, other = Secret(b"s" * 32), Secret(b"t" * 32)
    sealed = secret.seal("totp", "JBSWY3DPEHPK3PXP", "ann")
    assert "JBSWY3DPEHPK3PXP" not in sealed
    assert sealed != secret.seal("totp", "JBSWY3DPEHPK3PXP", "ann")
    assert secret.open("totp", sealed, "ann") == "JBSWY3DPEHPK3PXP"
    assert secret.open("totp", "JBSWY3DPEHPK3PXP", "ann") == "JBSWY3DPEHPK3PXP"  # of an earlier version
    changed = sealed[:-3] + ("A" if sealed[-3] != "A" else "B") + sealed[-2:]
    for opener, use, text, owner in (
        (other, "totp", sealed, "ann"),
        (secret, "mail", sealed, "ann"),
        (secret, "totp", sealed, "bob"),
        (secret, "totp", changed, "ann"),
        *(
            (secret, "totp", broken, "ann")
            for broken in (SEALED, f"{SEALED}A", f"{SEALED}é", f"{SEALED}AAAA", sealed[:20])
        ),
    ):
        with pytest.raises(CannotOpen):
            opener.open(use, text, owner)
