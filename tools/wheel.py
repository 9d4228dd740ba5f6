"""A checkout as a wheel, for whatever wants the package as users get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def build_wheel(folder: Path, source: Path = ROOT) -> Path:
    """Build a wheel of a checkout into a folder without others. Raises CalledProcessError."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w"]
    subprocess.run([*command, str(folder), str(source)], check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("refwasm-*.whl")
    return wheel
