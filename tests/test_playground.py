"""The playground in a browser: docs/playground, built as for the site, and used by ``tests/playground.mjs``."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tools.site import playground

ROOT = Path(__file__).parent.parent
DRIVER = ROOT / "docs/playground/node_modules/playwright-core"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(
        not (DRIVER.exists() and playground.PYODIDE.exists() and BROWSER and shutil.which("node")),
        reason="needs node, chromium, and npm ci --prefix docs/playground",
    ),
    pytest.mark.xdist_group("pyodide"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the built playground."""
    folder = tmp_path_factory.mktemp("site")
    assert playground.build(folder / "playground") < 15_000_000
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/playground"
    server.shutdown()


def test_the_playground_in_a_browser(site: str, tmp_path: Path) -> None:
    assert BROWSER is not None
    command = ["node", str(ROOT / "tests/playground.mjs"), str(DRIVER), BROWSER, site, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok ") + done.stdout.startswith("ok ") == 10, done.stdout
