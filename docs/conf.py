"""The configuration of the site; ``python -m tools.site`` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from refwasm import __version__

project = "refwasm"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design", "tools.site.extension"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["playground", "_build"]
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_heading_slug_func = "tools.site.extension.heading_slug"
nitpicky = False  # docstrings name private things, too

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True  # a default is shown as it is written
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "refwasm"
html_static_path: list[str] = []
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
smartquotes = False  # two hyphens begin an option
html_theme_options = {"source_directory": "docs/", "top_of_page_buttons": []}
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
