"""How the site is built: ``sphinx-build -W --keep-going docs docs/_build/html``.

Nothing is fetched: formulas are set by a MathJax that a Python package brings along, and what
scikit-learn documents is named, not linked. ``-D plot_gallery=0`` leaves the examples unexecuted.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

import sklearn_twolayer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "sklearn-twolayer"
author = "sklearn-twolayer developers"
project_copyright = f"2026, {author}"
version = release = sklearn_twolayer.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "inherited",
    "pictures",
]
exclude_patterns = ["_build", "examples", "pictures", "_ext", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "literal"
# a curly quote would hide a parameter from the links of the notebook diagram
smartquotes = False

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# one file without fonts, which a browser also reads from a disk
MATHJAX = distribution("sphinx-mathjax-offline").locate_file(
    "sphinx-mathjax-offline/static/mathjax/tex-svg.js"
)
mathjax_path = MATHJAX.name

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_static_path = ["_static", str(MATHJAX)]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": project},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": False,
}
html_sidebars = {"index": [], "changelog": [], "contributing": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"plot_.*\.py",
    "reset_modules": ("matplotlib", "example_warnings.raise_them"),
    "reset_modules_order": "both",
    "abort_on_example_error": False,
    "download_all_examples": False,
    "ignore_repr_types": r"matplotlib|Display",
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "doc_module": ("sklearn_twolayer",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"sklearn_twolayer": None},
}
