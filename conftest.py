"""For all tests: no compiled code is kept between them, unless a test chooses a place, and Control-C is not ignored."""

from __future__ import annotations

import os
import signal

os.environ["REFWASM_CACHE"] = ""
# A shell starts background jobs (``pytest &``) with SIGINT ignored, and all children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
