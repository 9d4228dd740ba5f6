"""The playground as a folder of static files: the page, Python (Pyodide), and the package, compiled for it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from refwasm.reports.pages.look import STYLE
from tools.wheel import build_wheel

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/playground"
PYODIDE = PAGE / "node_modules/pyodide"
#: What a page needs of Pyodide: without packages, without type declarations, without maps.
NEEDED = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json")
FILES = ("index.html", "playground.css", "playground.js", "worker.js", "actions.py")
#: Examples of the repository that the page shows, too.
EXAMPLES = ("squares.wat", "mandelbrot.wasm")
#: Bytes that all files may have together.
MOST = 15_000_000


class SiteError(Exception):
    """The site can't be built; the message says what to do."""


def build(target: Path) -> int:
    """Write everything into a new folder; how many bytes there are. Raises SiteError."""
    if not PYODIDE.exists():
        raise SiteError("Pyodide is not here: npm ci --prefix docs/playground")
    shutil.rmtree(target, ignore_errors=True)
    (target / "pyodide").mkdir(parents=True)
    for name in NEEDED:
        shutil.copy(PYODIDE / name, target / "pyodide")
    for name in FILES:
        shutil.copy(PAGE / name, target)
    shutil.copytree(PAGE / "examples", target / "examples")
    for name in EXAMPLES:
        shutil.copy(ROOT / "examples" / name, target / "examples")
    (target / "report.css").write_text(STYLE, encoding="utf-8")
    _compiled(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if size > MOST:
        raise SiteError(f"the playground has {size} bytes, more than {MOST}")
    return size


#: Parts of the package that nothing in the page uses: they need processes.
LEFT_OUT = ("campaign", "engines", "native", "strategies", "toolchain")
#: Parts of Python's library that nothing in the page uses: for servers, mail, desktops, debugging and tests, and old
#: encodings (cp437 is that of archives).
LEFT_OUT_OF_LIBRARY = (
    "_pyio.py", "_pyrepl", "bdb.py", "cProfile.py", "doctest.py", "email", "encodings/[bcehjkmst]*_*",
    "encodings/cp[0-35-9]*", "encodings/gb*", "encodings/iso*", "encodings/koi8*", "encodings/mac*", "ensurepip",
    "ftplib.py", "html/parser.py", "http", "idlelib", "imaplib.py", "logging/handlers.py", "mailbox.py",
    "modulefinder.py", "multiprocessing/dummy", "multiprocessing/managers.py", "multiprocessing/pool.py",
    "nntplib.py", "optparse.py", "pdb.py", "pickletools.py", "plistlib.py", "poplib.py", "pstats.py", "pydoc.py",
    "pydoc_data", "smtplib.py", "ssl.py", "statistics.py", "tomllib", "trace.py", "turtle.py", "unittest", "venv",
    "wsgiref", "xml", "xmlrpc", "zoneinfo",
)  # fmt: skip
#: Runs in Pyodide: compiles what was unpacked, and packs it again without its sources. They come as sources, and
#: compiling them takes most of the time that Python needs to start.
COMPILE = """
import compileall, pathlib, py_compile, shutil, zipfile

def pack(folder, names, target):
    root = pathlib.Path(folder)
    for path in set(path for name in names for path in root.glob(name)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(root, quiet=2, legacy=True, optimize=2, invalidation_mode=mode)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(root))

folder = pathlib.Path({folder!r})
zipfile.ZipFile(folder / "package.zip").extractall("/tmp/package")
for path in pathlib.Path("/tmp/package").glob("*.dist-info"):
    shutil.rmtree(path)
pack("/tmp/package", ["refwasm/" + name for name in {left_out!r}], folder / "refwasm.zip")
zipfile.ZipFile(folder / "library.zip").extractall("/tmp/library")
pack("/tmp/library", {library!r}, folder / "python_stdlib.zip")
"""


def _compiled(target: Path) -> None:
    """The package and Python's library, compiled by the Python that runs them."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        shutil.copy(wheel, Path(folder, "package.zip"))
        shutil.copy(PYODIDE / "python_stdlib.zip", Path(folder, "library.zip"))
        script = Path(folder, "compile.py")
        text = COMPILE.format(folder=folder, left_out=LEFT_OUT, library=LEFT_OUT_OF_LIBRARY)
        script.write_text(text, encoding="utf-8")
        _run(["node", str(ROOT / "tools/pyodide.mjs"), str(PYODIDE), str(wheel), str(script), folder])
        shutil.copy(Path(folder, "refwasm.zip"), target)
        shutil.copy(Path(folder, "python_stdlib.zip"), target / "pyodide")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SiteError(f"{command[0]} can't be started: {error.strerror}") from None
    if done.returncode:
        raise SiteError(f"{' '.join(command[:4])} … failed: {done.stderr[-2000:]}")
