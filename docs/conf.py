"""Sphinx configuration of the website; tools/site.py makes the copy that it is built from."""

from pathlib import Path

from tools import readme
from tools.notebooks import load
from tools.project import ADDRESS, NOTEBOOKS
from tools.site import mathjax

project = "Machine Learning Algorithms from Scratch"
author = "The contributors"
copyright = "the contributors; MIT licence"
language = "en"
extensions = ["myst_nb"]

nb_execution_mode = "off"  # the stored outputs are shown, which the tests hold to the code
nb_ipywidgets_js = {}  # no stored output is a widget, so that no script for them is loaded
myst_enable_extensions = ["dollarmath", "amsmath", "html_image", "colon_fence"]
myst_dmath_double_inline = True

# The site's own copy: the page typesets its equations without the network.
mathjax_path = "mathjax/tex-chtml.js"
html_static_path = [str(Path(__file__).parent / "_static"), str(mathjax())]

html_theme = "sphinx_book_theme"
html_title = project
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_favicon = "_static/icon.svg"
html_css_files = ["site.css"]
html_show_sphinx = False
html_use_index = False  # no definition is indexed
html_copy_source = True  # what the download button gives
html_theme_options = {
    "repository_url": ADDRESS,
    "repository_branch": readme.release(load(NOTEBOOKS[0])),
    "path_to_docs": "",
    "use_repository_button": True,
    "use_fullscreen_button": False,
    "launch_buttons": {
        "notebook_interface": "jupyterlab",
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
    },
    "footer_content_items": ["copyright.html"],
    "show_toc_level": 2,
    "navbar_persistent": [],  # the sidebar has the search
}
