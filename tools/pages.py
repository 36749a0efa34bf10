"""The pages of `make run`: each executed notebook as one file, and an index of them."""

import html

from tools.fold import title_of

TITLE = "Machine Learning Algorithms from Scratch"
# A folded cell's title and code. A closed one keeps its title on paper and leaves out the code.
FOLDED = """{%- set title = cell | folded_title -%}
{%- if title -%}
<details class="folded"><summary>{{ title | escape_html }}</summary>
{{ super() }}
</details>
{%- else -%}
{{ super() }}
{%- endif -%}"""
STYLE = """{{ super() }}
<style>
.folded > summary {
  cursor: pointer;
  margin-left: var(--jp-cell-prompt-width, 64px);
  padding: 4px;
  font: 14px var(--jp-content-font-family, sans-serif);
}
.folded > summary:focus-visible { outline: 2px solid #0072b2 }
</style>"""


def to_html(notebook, title: str) -> str:
    """Return one page that needs no other file and no network.

    Equations become MathML, and cells that are folded in the notebook are folded here.
    """
    from jinja2 import pass_context
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return equation(body, "inline")

        def block_math(self, body):
            return equation(body, "block")

        multiline_math = block_math

        def latex_environment(self, name, body):
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context, source):
            files = context.get("cell", {}).get("attachments", {})  # pictures within the prose
            renderer = Renderer(escape=False, attachments=files)
            return MarkdownWithMath(renderer=renderer).render(source)

    # The standard page loads these scripts from the network.
    scripts = ["html_head_js", "jupyter_widgets", "html_head_js_mathjax", "html_head_js_mermaidjs"]
    # And it knows no text alternative of a picture.
    picture = """<div class="jp-RenderedImage jp-OutputArea-output"><img
        alt="{{ output | get_metadata('alt', 'image/png') | escape_html }}"
        src="data:image/png;base64,{{ output.data['image/png'] }}"></div>"""
    blocks = dict.fromkeys(scripts, "") | {
        "data_png scoped": picture,
        "input_group scoped": FOLDED,
        "html_head_css": STYLE,
    }
    template = "{% extends 'lab/index.html.j2' %}" + "".join(
        f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items()
    )
    exporter = Exporter(raw_template=template)
    exporter.register_filter("folded_title", title_of)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return page


def equation(latex: str, display: str) -> str:
    """Return an equation as MathML, or as it was typed where it cannot be read."""
    from latex2mathml.converter import convert

    try:
        return convert(latex, display=display)
    except Exception:  # of many kinds: a page with one equation as text is better than no page
        return f"<code>{html.escape(latex)}</code>"


def index_page(table: str) -> str:
    """Return the page that shows the table of `make run`, which links to the notebooks' pages."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse }}
td, th {{ padding: .4rem 1.2rem .4rem 0; border-bottom: 1px solid #ddd }}
</style></head>
<body><h1>{TITLE}</h1>
{table}</body></html>
"""
