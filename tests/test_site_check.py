"""What looks at the built documentation sees what is wrong with a site."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
if not DOCS.exists():
    pytest.skip("the documentation is in a checkout only", allow_module_level=True)
sys.path.insert(0, str(DOCS))
import browser  # noqa: E402
import check_site  # noqa: E402

sys.path.remove(str(DOCS))

PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"></head><body><main>{}</main></body></html>"""
SOUND = '<p id="here">Words</p><a href="other.html#there">other</a><a href="#here">here</a>'
needs_browser = pytest.mark.skipif(browser.find_chromium() is None, reason="there is no Chromium")


def site_of(folder, body):
    (folder / "index.html").write_text(PAGE.format(body), encoding="utf-8")
    (folder / "other.html").write_text(PAGE.format('<p id="there">Words</p>'), encoding="utf-8")
    return folder


def test_a_sound_site_has_nothing_wrong(tmp_path):
    pages, n_links, wrong = check_site.check_links(site_of(tmp_path, SOUND))
    assert (len(pages), n_links, wrong) == (2, 2, [])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="missing.html">x</a>', "missing.html, which is not there"),
        ('<a href="other.html#nowhere">x</a>', "other.html#nowhere, a page without such a place"),
        ('<img src="missing.png">', "missing.png, which is not there"),
        ('<script src="https://example.invalid/a.js"></script>', "from elsewhere"),
    ],
)
def test_what_is_wrong_with_links_is_said(body, said, tmp_path):
    _, _, (wrong,) = check_site.check_links(site_of(tmp_path, body))
    assert wrong.startswith("index.html ")
    assert wrong.endswith(said)


@needs_browser
def test_what_is_wrong_with_drawn_pages_is_said(tmp_path):
    bodies = {
        "sound": SOUND,
        "scrolls": '<div style="overflow-x: auto"><p style="width: 2000px">x</p></div>',
        "wide": '<p style="width: 700px">x</p>',
        "raises": "<script>throw Error('on purpose')</script>",
        "formula": '<div class="math">\\(x\\)</div>',
    }
    pages = [tmp_path / f"{name}.html" for name in bodies]
    for page, body in zip(pages, bodies.values(), strict=True):
        page.write_text(PAGE.format(body), encoding="utf-8")
    with check_site.served(tmp_path) as address, browser.Browser() as opened:
        wrong = check_site.check_pages(opened, tmp_path, address, pages)
    told = {name: [each for each in wrong if each.startswith(f"{name}.html")] for name in bodies}
    assert not told["sound"]
    assert not told["scrolls"]
    assert told["wide"] and all("390 pixels" in each for each in told["wide"])
    assert all("on purpose" in each for each in told["raises"]) and len(told["raises"]) == 2
    assert all("of 1 formulas 0 are set" in each for each in told["formula"])
    assert len(told["formula"]) == 2
