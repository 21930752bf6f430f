from __future__ import annotations

from pathlib import Path

import numpy as np

from app.training.corpora.glosses.bank import LEFT
from app.training.corpora.glosses.pack import POSITION, pack, unpack
from tests.support.glosses_corpus import small_bank


def test_a_packed_bank_comes_back(tmp_path: Path) -> None:
    bank = small_bank()
    pack(bank, tmp_path / "bank.xz")
    back = unpack(tmp_path / "bank.xz")
    assert back.clips == bank.clips
    np.testing.assert_array_equal(back.there, bank.there)
    np.testing.assert_allclose(back.points.astype(np.float32), bank.points.astype(np.float32), atol=1.1 / POSITION)
    assert not back.points[:, LEFT].any()
