"""Each notebook in a real JupyterLab, run as a person runs it: Run > Run All Cells.

Screenshots go to build/lab/: every notebook in the light theme on a wide window, and in the dark
one on a narrow window. What is served is a copy; the tracked notebooks stay as they are.
"""

import shutil

import browser
import pytest

from common.environment import data_folders
from tools.project import BUILD, NOTEBOOKS, ROOT

SHOTS = BUILD / "lab"
LOOKS = [("JupyterLab Light", 1440), ("JupyterLab Dark", 1024)]
RUN_LIMIT = 600  # seconds for a whole notebook
HEIGHT = 2400  # of one screenshot; a notebook takes several

LAB = "window.jupyterapp.shell.currentWidget"
IDLE = f"() => {LAB}?.sessionContext?.session?.kernel?.status === 'idle'"
# An execution count is set when a cell is done; what follows an error stays without one.
FINISHED = f"""() => {{
  const cells = {LAB}.content.widgets.filter(c => c.model.type === 'code');
  const failed = cells.some(c => c.model.outputs.toJSON().some(o => o.output_type === 'error'));
  return {LAB}.sessionContext.session.kernel.status === 'idle'
    && (failed || cells.every(c => c.model.executionCount !== null));
}}"""
CELLS = f"""() => {LAB}.content.widgets.filter(c => c.model.type === 'code').map(c => ({{
  source: c.model.sharedModel.source,
  count: c.model.executionCount,
  outputs: c.model.outputs.toJSON().map(o => ({{
    type: o.output_type,
    name: o.name || o.ename || '',
    text: [].concat(o.evalue || o.text || '').join('').slice(0, 500),
    mimes: Object.keys(o.data || {{}}),
    plain: [].concat((o.data || {{}})['text/plain'] || '').join(''),
  }})),
}}))"""
# A picture was drawn if it has size and more than one colour.
PICTURES = f"""() => [...{LAB}.node.querySelectorAll('.jp-OutputArea img')].map(img => {{
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [64, 64];
  const context = canvas.getContext('2d');
  if (img.naturalWidth) context.drawImage(img, 0, 0, 64, 64);
  const data = context.getImageData(0, 0, 64, 64).data;
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4)
    colours.add(`${{data[i]}},${{data[i + 1]}},${{data[i + 2]}},${{data[i + 3]}}`);
  return {{width: img.naturalWidth, shown: img.clientWidth, colours: colours.size}};
}})"""
WIDGETS = f"""() => [...{LAB}.node.querySelectorAll('.jp-OutputArea-output > .jupyter-widgets')]
  .filter(e => !e.querySelector('.widget-hprogress'))
  .map(e => ({{height: e.clientHeight, text: e.innerText.slice(0, 200)}}))"""
# Outputs that are cut off or scroll sideways; a progress bar's line may be long.
TOO_WIDE = f"""() => [...{LAB}.node.querySelectorAll('.jp-OutputArea-output')]
  .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
  .map(e => `${{e.scrollWidth}} > ${{e.clientWidth}}: ${{e.innerText.slice(0, 80)}}`)"""
# What a cell shows besides its controls.
SHOWN = """cell => [...cell.querySelectorAll('img, svg, canvas')].map(e => e.src || e.outerHTML)
  .concat([...cell.querySelectorAll('.jp-RenderedText, .jp-RenderedHTMLCommon')]
    .map(e => e.innerText)).join('\\u0000')"""


@pytest.fixture
def folder(tmp_path):
    """A copy of what a reader has after the clone."""
    copy = tmp_path / "notebooks"
    beside = [file for path in NOTEBOOKS for file in path.parent.rglob("*") if file.is_file()]
    shared = [file for file in (ROOT / "common").iterdir() if file.is_file()]
    for path in [*beside, *shared, ROOT / "pyproject.toml"]:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return copy


def open_notebook(tab, address, path):
    tab.goto(f"{address}/lab/tree/{path.relative_to(ROOT).as_posix()}?reset")
    tab.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=60_000)
    tab.wait_for_function(IDLE, timeout=60_000)


def run_all_cells(tab):
    """By the menu, as a person does; what was stored is cleared, so that it cannot pass for new."""
    tab.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    tab.click("li.lm-MenuBar-item:has-text('Run')")
    tab.click("li.lm-Menu-item[data-command='runmenu:run-all']")
    tab.wait_for_function(FINISHED, timeout=RUN_LIMIT * 1000, polling=250)
    tab.wait_for_timeout(1500)  # pictures and widgets are drawn after their messages came


def move_sliders(tab, name):
    """Press an arrow key on every slider; return (a description, whether the output changed)."""
    moved = []
    handles = tab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .noUi-handle:visible")
    for i in range(handles.count()):
        handle = handles.nth(i)
        cell = handle.locator("xpath=ancestor::div[contains(@class, 'jp-Cell-outputArea')][1]")
        handle.scroll_into_view_if_needed()
        value, shown = handle.get_attribute("aria-valuenow"), cell.evaluate(SHOWN)
        at_end = float(value) >= float(handle.get_attribute("aria-valuemax"))
        handle.focus()
        handle.press("ArrowLeft" if at_end else "ArrowRight")
        for _ in range(100):
            if cell.evaluate(SHOWN) != shown and handle.get_attribute("aria-valuenow") != value:
                break
            tab.wait_for_timeout(200)
        tab.wait_for_function(IDLE, timeout=60_000)
        tab.wait_for_timeout(500)
        after = handle.get_attribute("aria-valuenow")
        moved.append(
            (f"slider {i}: {value} to {after}", after != value and cell.evaluate(SHOWN) != shown)
        )
        cell.screenshot(path=str(SHOTS / f"{name}-slider-{i}.png"))
    return moved


def is_control(output):
    """Whether an output is a widget that stays; a progress bar goes when it is done."""
    is_widget = "application/vnd.jupyter.widget-view+json" in output["mimes"]
    return is_widget and "%|" not in output["plain"]


def photograph(tab, name):
    """The whole notebook, in as many screenshots as it takes."""
    width = tab.viewport_size["width"]
    tab.set_viewport_size({"width": width, "height": HEIGHT})
    scroller = tab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer").first
    length, step = scroller.evaluate("e => [e.scrollHeight, e.clientHeight]")
    for i, top in enumerate(range(0, length, step)):
        scroller.evaluate("(e, top) => e.scrollTo(0, top)", top)
        tab.wait_for_timeout(300)
        tab.screenshot(path=str(SHOTS / f"{name}-{i + 1:02}.png"))
    tab.set_viewport_size({"width": width, "height": 900})


@pytest.mark.lab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_a_person_runs_the_notebook(folder, tmp_path, path, monkeypatch):
    monkeypatch.setenv("ML_DATA_DIR", str(data_folders()[0]))
    before = path.read_bytes()
    SHOTS.mkdir(parents=True, exist_ok=True)
    with browser.chromium() as chromium, browser.jupyterlab(folder, tmp_path) as address:
        theme, width = LOOKS[0]
        tab = chromium.new_page(viewport={"width": width, "height": 900})
        wrong = browser.listen(tab)
        open_notebook(tab, address, path)
        tab.screenshot(path=str(SHOTS / f"{path.parent.name}-opened.png"))
        run_all_cells(tab)
        cells = tab.evaluate(CELLS)
        outputs = [output for cell in cells for output in cell["outputs"]]
        for theme, width in LOOKS:
            choice = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
            tab.evaluate(choice, theme)
            tab.set_viewport_size({"width": width, "height": 900})
            tab.wait_for_timeout(1500)
            name = f"{path.parent.name}-{theme.split()[-1].lower()}-{width}"
            photograph(tab, name)
            assert not [o for o in outputs if o["type"] == "error" or o["name"] == "stderr"]
            assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
            pictures = tab.evaluate(PICTURES)
            drawn = sum("image/png" in output["mimes"] for output in outputs)
            assert len(pictures) >= drawn >= 4
            assert not [p for p in pictures if not p["shown"] or p["colours"] < 3]
            widgets = tab.evaluate(WIDGETS)
            assert len(widgets) == sum(is_control(output) for output in outputs)
            assert not [w for w in widgets if w["height"] < 10 or "rror displaying" in w["text"]]
            assert not tab.evaluate(TOO_WIDE)
            sliders = move_sliders(tab, name)
            assert not [slider for slider, changed in sliders if not changed]
            assert sliders or not widgets
        assert not wrong
        tab.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
    assert path.read_bytes() == before
