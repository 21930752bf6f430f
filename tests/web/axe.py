"""axe-core on a page: what keeps people from using it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def axe_script() -> str:
    found = find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


async def findings(page: Any) -> list[str]:
    """What axe-core finds in the page as it is now. The page must have been opened with `bypass_csp`."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe_script())
    found = await page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {', '.join(str(node['target'][0]) for node in one['nodes'][:4])}" for one in found]
