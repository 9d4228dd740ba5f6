"""Build the web site: the documentation (Sphinx), and the playground in it.

``python -m tools.site [FOLDER]``; the folder is site/ unless another one is named. Needs the extra docs, and, for the
playground, node and ``npm ci --prefix docs/playground``. Every warning is an error, and every link that leads nowhere.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tools.site import playground
from tools.site.links import broken
from tools.site.playground import ROOT, SiteError


def main() -> int:
    """Build; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    parser.add_argument("--without-playground", action="store_true", help="the documentation only")
    options = parser.parse_args()
    try:
        build(options.folder, not options.without_playground)
    except SiteError as error:
        print(f"tools.site: {error}", file=sys.stderr)
        return 1
    print(f"built {options.folder / 'index.html'}")
    return 0


def build(folder: Path, with_playground: bool = True) -> None:
    """Build the site into a folder, which is emptied first. Raises SiteError."""
    try:
        from sphinx.cmd.build import build_main
    except ImportError:
        raise SiteError("Sphinx is not installed: pip install -e '.[docs]'") from None
    shutil.rmtree(folder, ignore_errors=True)
    words = ["-b", "html", "-W", "--keep-going", "-q", "-d", str(folder / ".doctrees"), str(ROOT / "docs"), str(folder)]
    if build_main(words):
        raise SiteError("the documentation has errors")
    shutil.rmtree(folder / ".doctrees")
    if with_playground:
        playground.build(folder / "playground")
    wrong = [line for line in broken(folder) if with_playground or "playground/" not in line]
    if wrong:
        raise SiteError("\n".join(["links that lead nowhere:", *wrong]))


if __name__ == "__main__":
    sys.exit(main())
