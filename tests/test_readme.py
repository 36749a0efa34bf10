"""What the pages say of the project: README, changelog, citation, troubleshooting, links."""

import base64
import http.server
import json
import re
import threading
import tomllib

import pytest
import yaml

from tools import links, readme
from tools.notebooks import load, preview, source
from tools.project import ADDRESS, NOTEBOOKS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def markdown(text: str, *tags: str) -> dict:
    return {"cell_type": "markdown", "metadata": {"tags": list(tags)}, "source": [text]}


def code(text: str, **metadata) -> dict:
    return {"cell_type": "code", "metadata": metadata, "source": [text]}


def test_what_stands_between_two_marks_is_replaced_and_nothing_else():
    text = "a\n<!-- x:start -->\nold\n<!-- x:end -->\nb\n<!-- y:start -->\n<!-- y:end -->\n"
    new = readme.between(text, "x", "new\nlines\n")
    assert new == text.replace("old", "new\nlines")
    assert readme.between(new, "x", "old") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- x:start -->",
        "<!-- x:end --><!-- x:start -->",
        "<!-- x:end --><!-- x:start --><!-- x:end -->",
        "<!-- x:start --><!-- x:end --><!-- x:end -->",
        "<!-- x:start --><!-- x:start --><!-- x:end -->",
    ],
)
def test_marks_that_are_not_a_pair_are_refused(text):
    with pytest.raises(ValueError, match="<!-- x:start -->"):
        readme.between(text, "x", "new")


def test_minutes_count_words_and_open_lines_of_the_main_path():
    words = markdown("word " * 2000)  # ten minutes
    lines = code("x = 1\n\n" * 100)  # and ten, the blank lines for nothing
    folded = code("x = 1\n" * 500, jupyter={"source_hidden": True})
    solution = markdown("<details>\n" + "word " * 5000 + "\n</details>")
    for tag in ("yours", "craft"):
        rest = [markdown("# Next", tag), words, lines]
        assert readme.minutes({"cells": [words, lines, folded, solution, *rest]}) == 20
    assert readme.minutes({"cells": [words, lines, words, lines]}) == 40
    assert readme.minutes({"cells": []}) == 5  # nothing is read in no time


def test_a_notebook_s_parts_are_the_layers_of_the_page():
    book = {
        "cells": [
            markdown("# Title\n\n<!-- parts:start -->\n<!-- parts:end -->"),
            code("x = 1\n" * 100),
            markdown("Now:\n\n## Yours: your own | table", "yours"),
            markdown("word " * 1000),
            markdown("## Craft", "craft"),
            markdown("### Speed\n" + "word " * 3000),
            code("# ## Evidence"),
            markdown("## Evidence"),
            code("evidence.show()"),
        ],
        "metadata": {"parts": [3, 2, 7, 1]},
    }
    assert [len(cells) for _, cells in readme.parts(book)] == [2, 2, 3, 2]
    assert readme.contents(book).splitlines()[2:] == [
        "| Main path | 10 min | 3 s |",
        r"| Yours: your own \| table | 5 min | 2 s |",
        "| Craft | 15 min | 7 s |",
        "| Evidence | 5 min | 1 s |",
    ]
    del book["metadata"]["parts"]  # before the first refresh
    assert readme.contents(book).splitlines()[2] == "| Main path | 10 min |  |"


def test_the_opening_has_today_s_table_and_picture():
    shown = []
    for path in NOTEBOOKS:
        book = load(path)
        for cell in book["cells"]:
            text = source(cell)
            if cell["cell_type"] == "markdown" and "<!-- parts:start -->" in text:
                shown.append(path.parent.name)
                assert readme.between(text, "parts", readme.contents(book)) == text, "make refresh"
            for name, data in cell.get("attachments", {}).items():
                assert name == "preview.png"
                assert base64.b64decode(data["image/png"]) == preview(book), "make refresh"
    assert "regression" in shown


def test_the_table_says_what_the_notebooks_take():
    book = {"cells": [markdown("word " * 3000)], "metadata": {"seconds": 7}}
    table = readme.table(dict.fromkeys(NOTEBOOKS, book)).splitlines()
    assert len(table) == 2 + len(NOTEBOOKS)
    assert all("| 15 min | 7 s |" in row for row in table[2:])
    assert all(row.count("/main") == 3 for row in table[2:])
    book["cells"].append(code('RELEASE = "v1.2"  # what it belongs to\nrest = 1'))
    released = readme.table(dict.fromkeys(NOTEBOOKS, book)).splitlines()
    assert all(row.count("/v1.2") == 3 and "/main" not in row for row in released[2:])
    fifth = ROOT / "no-such" / "notebook.ipynb"
    with pytest.raises(ValueError, match="SEEN: expected a line for the notebook in no-such"):
        readme.table({fifth: book})


def test_the_readme_has_today_s_table():
    books = {path: load(path) for path in NOTEBOOKS}
    new = readme.between(README, "notebooks", readme.table(books))
    assert new == README, "run `python -m tools.readme`, or `make refresh`, which does so too"


def test_the_readme_is_short_and_begins_with_a_picture_and_two_commands():
    lines = README.splitlines()
    assert len(lines) <= 110
    assert "<img" in README[: README.index("make run")]
    assert README.index("make test") < README.index("## ")
    for word in ("ml-latest-small", "CC BY-SA 3.0", "MIT", "public domain"):
        assert word in README[README.index("## Licences") :]


def test_the_version_is_that_of_pyproject_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == ADDRESS
    assert citation["title"] == README.splitlines()[0].removeprefix("# ")
    assert {"cff-version", "message", "authors"} <= set(citation)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert heads[1].split(" - ")[0] == PROJECT["version"]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", changes, re.MULTILINE)) <= kinds


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", text)
    found += re.findall(r'(?:href|src)="(?!https?:|#)([^"#]+)"', text)
    missing = [link for link in found if not (page.parent / link).exists()]
    assert missing == []


def test_what_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w./-]+/[\w./-]*|\w+\.py)`", text)
    made = ("build/", "shared/")
    folders = [ROOT, ROOT / "benchmarks"]
    for name in named:
        found = any((folder / name).exists() for folder in folders)
        assert found or name.startswith(made), name
    rows = re.findall(r"`([\w/]+\.py)`, ((?:`\w+`(?:, | and )?)+)", text)
    assert len(rows) >= 6
    for file, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), (file, name)
    # Where a number or a path must be changed for a fifth notebook.
    places = ["tools/project.py", "pyproject.toml", "tools/readme.py", "tests/test_notebooks.py"]
    for place in [*places, "tools/parameters.py", "Makefile"]:
        assert place in text.partition("## Add a notebook")[2].partition("\n## ")[0], place


# Links -----------------------------------------------------------------------------------------


def test_addresses_are_found_without_the_sentence_around_them():
    text = (
        "[a](https://a.example/x), (see https://b.example/y). `https://c.example`; "
        '<a href="https://d.example/z#part"> https://e.example/Median_(geometry) https://a.example/x'
    )
    assert links.links(text) == [
        "https://a.example/x",
        "https://b.example/y",
        "https://c.example",
        "https://d.example/z",
        "https://e.example/Median_(geometry)",
    ]


def test_every_page_and_notebook_is_asked_for_its_links():
    where = links.addresses()
    assert {file for files in where.values() for file in files} >= {
        "README.md",
        "CONTRIBUTING.md",
        *(path.relative_to(ROOT).as_posix() for path in NOTEBOOKS),
    }


@pytest.fixture(scope="module")
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path[1:]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()


@pytest.mark.parametrize("status", [200, 403, 429, 503])
def test_a_link_that_is_there_or_whose_server_will_not_say_is_not_dead(server, status):
    assert links.answer(f"{server}/{status}") is None


@pytest.mark.parametrize("link", ["404", "410"])
def test_a_dead_link_is_named_with_the_answer(server, link):
    assert links.answer(f"{server}/{link}").startswith(link)


@pytest.mark.parametrize("link", ["http://127.0.0.1:1/", "https://[broken", "http://a b/"])
def test_an_address_without_a_server_is_dead(link):
    assert links.answer(link)


def test_dead_links_are_printed_with_their_files(server, monkeypatch, capsys):
    monkeypatch.setattr(links, "addresses", lambda: {f"{server}/200": ["a"], f"{server}/404": "bc"})
    assert links.main() == 1
    printed = capsys.readouterr().out
    assert f"{server}/404: 404 Not Found; in b, c" in printed
    assert "2 links, 1 dead" in printed


# Troubleshooting -------------------------------------------------------------------------------


def messages() -> list[str]:
    """Return the headings of the troubleshooting page, which quote what the code prints."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    heads = re.findall(r"^#{2,3} (.+)$", text, re.MULTILINE)
    return [quote for head in heads for quote in re.findall(r"`([^`]+)`", head)]


def said() -> str:
    """Return all that our code may print, in one line; what is filled in stands as {}."""
    files = [*ROOT.glob("common/*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("benchmarks/*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    for path in NOTEBOOKS:
        texts += ["".join(c["source"]) for c in load(path)["cells"] if c["cell_type"] == "code"]
    text = re.sub(r'["\']\s*\n\s*f?["\']', "", "\n".join(texts))  # literals on several lines
    return re.sub(r"\{[^{}]*\}", "{}", text)


def test_the_troubleshooting_page_quotes_what_the_code_prints():
    quoted, printed = messages(), said()
    assert len(quoted) >= 8
    for message in quoted:
        parts = message.strip(" .").split("...")
        assert sum(map(len, parts)) >= 8
        pattern = ".{0,40}".join(map(re.escape, parts))  # "..." stands for what is filled in
        assert re.search(pattern, printed), f"nothing prints {message!r}"


# The issue form and the container --------------------------------------------------------------


def test_the_issue_form_asks_for_environment_cell_and_make_check():
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    form = yaml.safe_load((folder / "problem.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    asked = {field["id"]: field for field in form["body"] if field["type"] != "markdown"}
    assert {"environment", "cell"} <= set(asked)
    assert "make check" in asked["environment"]["attributes"]["label"]
    assert all(field["validations"]["required"] for field in asked.values())


def test_the_container_has_the_tested_python_and_runs_commands_that_exist():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)
    least = PROJECT["requires-python"].removeprefix(">=")
    assert container["image"] == f"mcr.microsoft.com/devcontainers/python:1-{least}-bookworm"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    targets = re.findall(r"make (\S+)", container["postCreateCommand"])
    assert targets
    for target in targets:
        assert re.search(rf"^{re.escape(target)}\b.*:", makefile, re.MULTILINE), target
