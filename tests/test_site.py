"""The website: built from the stored outputs, and looked at in Chromium."""

import html
import importlib.util
import itertools
import re
import subprocess
import sys
from urllib.parse import urlparse

import browser
import nbformat
import pytest

from tools import site as site_tool
from tools.fold import fold, title_of
from tools.notebooks import evidence, load, source
from tools.project import ADDRESS, BUILD, NOTEBOOKS, ROOT
from tools.readme import release

SITE = BUILD / "site"
SHOTS = BUILD / "lab" / "site"
PAGES = [
    *(page.with_suffix(".html").name for page in sorted((ROOT / "docs").glob("*.md"))),
    "search.html",
    *(path.relative_to(ROOT).with_suffix(".html").as_posix() for path in NOTEBOOKS),
]
ON_PAGE = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) => e.getClientRects().length > 0;
  return {
    lang: document.documentElement.lang,
    title: document.title,
    headings: all('main h1, main h2, main h3, main h4, main h5, main h6').filter(seen)
      .map(h => Number(h.tagName[1])),
    equations: all('.math').length,
    typeset: all('.math mjx-container').length,
    wrong: all('mjx-merror').length,
    images: all('img').filter(seen).map(e => ({
      src: e.src, alt: e.getAttribute('alt'), width: e.naturalWidth,
      decorative: !!e.closest('[aria-hidden=true], .navbar-brand, button, .dropdown')})),
    skip: all('a[href="#main-content"]').length,
    targets: all('#main-content').length,
    unnamed: all('a[href], button').filter(seen).filter(e => !(e.innerText.trim()
      || e.getAttribute('aria-label') || e.title || e.querySelector('img[alt]:not([alt=""])'))
      ).map(e => e.outerHTML.slice(0, 200)),
    prose: all('main p, main li, main td').map(e => {
      const copy = e.cloneNode(true);
      copy.querySelectorAll('pre, code, mjx-container').forEach(c => c.remove());
      return copy.textContent;
    }).join(' '),
  };
}"""
SIDEWAYS = """() => ({
  page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  culprits: [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1
      && !e.closest('.cell_output, .highlight, .wide, .pst-scrollable-table-container, '
        + 'mjx-container, .bd-sidebar-secondary'))
    .slice(0, 5).map(e => e.outerHTML.slice(0, 120)),
})"""


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("../benchmarks/report/a.png", "benchmarks/report/a.png"),
        ("../benchmarks/report/a.json", f"{ADDRESS}/blob/v1/benchmarks/report/a.json"),
        ("../benchmarks/run.py", f"{ADDRESS}/blob/v1/benchmarks/run.py"),
        ("../README.md#your-own-data", f"{ADDRESS}/blob/v1/README.md#your-own-data"),
        ("../regression/linear_vs_ridge.ipynb", "regression/linear_vs_ridge.ipynb"),
        ("speed.md", "speed.md"),
        ("https://example.org/../a", "https://example.org/../a"),
        ("#top", "#top"),
    ],
)
def test_a_link_of_a_page_leads_to_the_same_place_on_the_site(link, there):
    text = "see [a (b)]({0}) or ![c]({0})."
    assert site_tool.links(text.format(link), "v1") == text.format(there)


def test_links_of_the_pages_lead_to_files():
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_text_alternatives_and_titles_go_where_the_site_reads_them():
    def cell(*alts):
        pictures = [
            {"data": {"image/png": "iVBORw0="}, "metadata": {"image/png": {"alt": alt}}}
            for alt in alts
        ]
        return {"id": "a", "cell_type": "code", "metadata": {}, "source": "x", "outputs": pictures}

    drawn, plain = cell("a line falls"), cell()
    fold(drawn, "Draw {x}")
    site_tool.with_titles({"cells": [drawn, plain]})
    assert drawn["metadata"]["mystnb"] == {
        "image": {"alt": "a line falls"},
        "code_prompt_show": "Draw {{x}}",
    }
    assert plain["metadata"]["mystnb"] == {}
    with pytest.raises(ValueError, match="one picture a cell"):
        site_tool.with_titles({"cells": [cell("one", "two")]})


def test_a_picture_in_the_prose_becomes_a_file(tmp_path):
    cell = nbformat.v4.new_markdown_cell("![seen](attachment:seen.png)")
    cell.update(source=[cell.source], attachments={"seen.png": {"image/png": "iVBORw0="}})
    made = site_tool.with_files({"cells": [cell]}, tmp_path / "regression")
    assert made["cells"][0]["source"] == ["![seen](seen.png)"]
    assert "attachments" not in made["cells"][0]
    assert (tmp_path / "regression" / "seen.png").read_bytes() == b"\x89PNG\r"


@pytest.fixture(scope="module")
def site():
    for package in ("myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"skipped: {package} is not installed; `make site` installs it")
    command = [sys.executable, "-m", "tools.site"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return SITE


@pytest.fixture(scope="module")
def chromium(site):
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(site):
    with browser.files(site) as served:
        yield served


@pytest.mark.lab
def test_nothing_is_loaded_from_elsewhere(site):
    for page in PAGES:
        text = (site / page).read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=[\"']([^\"']+)", text)
        loaded += re.findall(r"<link\b[^>]*rel=\"stylesheet\"[^>]*href=[\"']([^\"']+)", text)
        assert loaded
        assert not [link for link in loaded if re.match(r"(https?:)?//", link)], page


@pytest.mark.lab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_each_notebook_has_its_text_alternatives_and_launch_buttons(site, path):
    name = path.relative_to(ROOT)
    page = (site / name.with_suffix(".html")).read_text(encoding="utf-8")
    book = load(path)
    pictures = [
        o["metadata"]["image/png"]["alt"]
        for cell in book["cells"]
        for o in cell.get("outputs", [])
        if "image/png" in o.get("data", {})
    ]
    prose = "".join(source(c) for c in book["cells"] if c["cell_type"] == "markdown")
    pictures += re.findall(r"!\[([^]]*)\]\(attachment:", prose)
    found = re.findall(r'<img alt="([^"]*)"[^>]*_images/', page)
    assert sorted(map(html.unescape, found)) == sorted(pictures)
    owner, ref = ADDRESS.removeprefix("https://github.com/"), release(book)
    assert f"{owner}/blob/{ref}/{name.as_posix()}" in page
    assert f"{ref}?urlpath=lab/tree/{name.as_posix()}" in page


@pytest.mark.lab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_what_a_notebook_folds_the_site_folds(site, path):
    page = (site / path.relative_to(ROOT).with_suffix(".html")).read_text(encoding="utf-8")
    titles = [title_of(cell) for cell in load(path)["cells"] if title_of(cell)]
    folded = re.findall(r"<details class=.[a-z ]*above-input.>(.*?)</summary>", page, re.DOTALL)
    shown = [html.unescape(re.sub("<[^>]+>", "", text)) for text in folded]
    assert [t for t, text in zip(titles, shown, strict=True) if t not in text] == []


@pytest.mark.lab
@pytest.mark.parametrize("page", PAGES)
def test_page_is_whole(chromium, address, page):
    """On a wide window, in both themes, and on a phone's."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    wrong = browser.listen(tab)
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{address}/{page}", wait_until="networkidle")
    tab.wait_for_function("() => !window.MathJax || !!window.MathJax.startup?.promise")
    tab.evaluate("async () => { await window.MathJax?.startup?.promise }")
    name = page.removesuffix(".html").replace("/", "-")
    shoot(tab, f"{name}-wide")
    found = tab.evaluate(ON_PAGE)
    assert {urlparse(url).netloc for url in asked if url.startswith("http")} == {
        urlparse(address).netloc
    }
    assert found["lang"] == "en"
    assert found["title"]
    assert found["skip"] == 1
    assert found["targets"] == 1
    assert not found["unnamed"]
    levels = found["headings"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert found["equations"] == found["typeset"]
    assert found["wrong"] == 0
    for image in found["images"]:
        assert image["width"] > 0, image
        assert image["decorative"] or len(image["alt"] or "") > 20, image
    if page.count("/"):  # a notebook
        assert found["typeset"] > 5
        assert len(found["images"]) >= 5
        assert "$" not in found["prose"], "an equation was not recognised"
    tab.keyboard.press("Tab")  # the first thing that the keyboard reaches
    assert "Skip to main content" in tab.evaluate("() => document.activeElement.innerText")
    tab.evaluate("() => document.activeElement.blur()")
    tab.evaluate("() => { document.documentElement.dataset.theme = 'dark' }")
    shoot(tab, f"{name}-dark")
    tab.evaluate("() => { document.documentElement.dataset.theme = 'light' }")
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.wait_for_timeout(300)
    shoot(tab, f"{name}-phone")
    assert tab.evaluate(SIDEWAYS) == {"page": 0, "culprits": []}
    assert not wrong
    context.close()


def shoot(tab, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.evaluate("() => window.scrollTo(0, 0)")
    tab.screenshot(path=str(SHOTS / f"{name}.png"))


@pytest.mark.lab
def test_evidence_of_all_four_is_there(site):
    page = (site / "verified.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        rows = evidence(load(path))["rows"]
        assert f"{len(rows)} of {len(rows)} hold" in page
    assert page.count("<table>") == len(NOTEBOOKS)
