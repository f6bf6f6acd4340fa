"""Compiled templates: kept beside Python's own, used while a template is what it was, and no page fails for them."""

import sys

import pytest

jinja2 = pytest.importorskip("jinja2")

from oddwave.report.template_cache import kept_templates  # noqa: E402


@pytest.fixture
def templates(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "compiled"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "page.html").write_text("{{ name }} and {{ 1 + 1 }}")
    return folder


def rendered(folder):
    own = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), bytecode_cache=kept_templates(folder), autoescape=True
    )
    return own.get_template("page.html").render(name="this")


def test_a_template_is_compiled_once_and_again_when_it_changes(templates, monkeypatch):
    assert rendered(templates) == "this and 2"
    (kept,) = (templates.parent / "compiled").rglob("*.cache")
    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", None)  # nothing is left to compile
        assert rendered(templates) == "this and 2"
    (templates / "page.html").write_text("only {{ name }}")
    assert rendered(templates) == "only this"
    assert kept.exists()


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_what_is_damaged_is_compiled_anew(templates, damage):
    rendered(templates)
    (kept,) = (templates.parent / "compiled").rglob("*.cache")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert rendered(templates) == "this and 2"


def test_nothing_is_kept_where_python_writes_nothing(templates, monkeypatch):
    (templates.parent / "compiled").write_text("a file in the way")
    assert kept_templates(templates) is None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert kept_templates(templates) is None
    assert rendered(templates) == "this and 2"
