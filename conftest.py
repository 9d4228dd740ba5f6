"""For all tests: no compiled code is kept between them, unless a test chooses a place."""

from __future__ import annotations

import os

os.environ["REFWASM_CACHE"] = ""
