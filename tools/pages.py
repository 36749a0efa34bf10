"""The pages of `make run`: each executed notebook as one file, and an index of them."""

import html
from pathlib import Path

HEADER = ("notebook", "data used", "seconds", "evidence rows passed")  # the table of `make run`


def to_html(notebook, title: str) -> str:
    """Return one page that needs no other file and no network; equations become MathML."""
    from jinja2 import pass_context
    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return convert(body)

        def block_math(self, body):
            return convert(body, display="block")

        multiline_math = block_math

        def latex_environment(self, name, body):
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context, source):
            return MarkdownWithMath(renderer=Renderer(escape=False)).render(source)

    # The standard page loads these scripts from the network.
    scripts = ["html_head_js", "jupyter_widgets", "html_head_js_mathjax", "html_head_js_mermaidjs"]
    # And it knows no text alternative of a picture.
    picture = """<div class="jp-RenderedImage jp-OutputArea-output"><img
        alt="{{ output | get_metadata('alt', 'image/png') | escape_html }}"
        src="data:image/png;base64,{{ output.data['image/png'] }}"></div>"""
    blocks = dict.fromkeys(scripts, "") | {"data_png scoped": picture}
    template = "{% extends 'lab/index.html.j2' %}" + "".join(
        f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items()
    )
    exporter = Exporter(raw_template=template)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return page


def index_page(rows: list[tuple[str, str, str, str]]) -> str:
    """Return the page that links to the four others."""
    body = "".join(
        f'<tr><td><a href="{html.escape(Path(name).with_suffix(".html").as_posix())}">'
        f"{html.escape(name)}</a></td>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for name, *row in rows
    )
    head = "".join(f"<th>{title}</th>" for title in HEADER)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Machine Learning Algorithms from Scratch</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse }}
td, th {{ text-align: left; padding: .4rem 1.2rem .4rem 0; border-bottom: 1px solid #ddd }}
</style></head>
<body><h1>Machine Learning Algorithms from Scratch</h1>
<table><thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table></body></html>
"""
