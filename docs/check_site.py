"""Looks at the built site as a reader does: ``python docs/check_site.py docs/_build/html``.

Links inside the site lead to pages and places that exist, and nothing is loaded from elsewhere.
Then Chromium opens the pages as wide as a telephone and as a screen: nothing is wider than either,
formulas are set, scripts raise nothing, and the search finds what it is asked for. Prints a report,
and ends with 1 if anything is wrong. ``--screenshots FOLDER`` keeps pictures, ``--no-browser``
follows links only.
"""

import argparse
import sys
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

WIDTHS = {390: 844, 1280: 900}
"""Of a telephone and of a screen, with their heights, in pixels."""

SEARCHED, FOUND = "predict_interval", "TwoLayerRegressor"
"""What is searched for, and where it is to be found."""

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements that make a browser load something, and where they say what."""

TOO_WIDE = """
(() => {
  const scrolls = e => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(p).overflowX)) return !p.querySelector("h1");
    return false;
  };
  const seen = e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e);
    return r.width > 1 && r.height > 1 && s.visibility !== "hidden" && s.position !== "fixed"; };
  const wide = [...document.querySelectorAll("main *, header *, footer *")].filter(e => seen(e)
    && (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)
    && !scrolls(e));
  return wide.slice(0, 3).map(e => `${e.tagName.toLowerCase()}.${e.className} `
    + (e.textContent || e.alt || "").trim().slice(0, 40));
})()
"""
"""Elements beyond the edge, but for those inside something that scrolls, less than a whole page."""


class Page(HTMLParser):
    """The anchors of a page, where it leads to, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded = {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Take note of what one element says."""
        found = dict(attrs)
        self.anchors.update(filter(None, (found.get("id"), found.get("name"))))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        address = found.get(LOADED.get(tag, ""))
        if address and not (tag == "link" and found.get("rel") in ("search", "author")):
            self.loaded.append(address)


def check_links(site):
    """(pages, links inside the site, what is wrong)."""
    # what the theme keeps in its own folder are no pages
    paths = (p for p in sorted(site.rglob("*.html")) if p.relative_to(site).parts[0] != "_static")
    pages = {path: Page(path) for path in paths}
    wrong, n_links = [], 0
    for path, page in pages.items():
        where = path.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).netloc:
                wrong.append(f"{where} loads {address} from elsewhere")
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            n_links += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment).partition(":~:")[0]
            if not target.is_file():
                wrong.append(f"{where} leads to {address}, which is not there")
            elif target in pages and anchor not in pages[target].anchors:
                wrong.append(f"{where} leads to {address}, a page without such a place")
    return list(pages), n_links, wrong


@contextmanager
def served(site):
    """The address of the site while it is served to this machine, as a browser expects it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check_pages(browser, site, address, pages, screenshots=None):
    """What is wrong with the pages, as they are drawn."""
    wrong = []
    for width, height in WIDTHS.items():
        browser.set_size(width, height, mobile=width < 500)
        for path in pages:
            where = f"{path.relative_to(site)} at {width} pixels"
            browser.open(f"{address}/{path.relative_to(site).as_posix()}")
            wrong += [f"{where}: {error}" for error in browser.errors()]
            wrong += [
                f"{where} asks for {asked}"
                for asked in browser.requests()
                if not asked.startswith((address, "data:", "blob:"))
            ]
            drawn = browser.evaluate("document.documentElement.scrollWidth")
            if drawn > width:
                wrong.append(f"{where} is {drawn} wide")
            wrong += [f"{where}: beyond the edge is {what}" for what in browser.evaluate(TOO_WIDE)]
            n_cut = browser.evaluate(
                "[...document.querySelectorAll('main div.math')]"
                ".filter(e => [...e.querySelectorAll('svg')]"
                ".some(s => s.getBoundingClientRect().width > e.clientWidth + 1)).length"
            )
            if n_cut:
                wrong.append(f"{where}: {n_cut} formulas are wider than their place")
            n_formulas, n_set, n_bad = browser.evaluate(
                "['.math', 'mjx-container', '[data-mjx-error], mjx-merror']"
                ".map(each => document.querySelectorAll(`main ${each}`).length)"
            )
            if n_bad or n_set < n_formulas:
                wrong.append(f"{where}: of {n_formulas} formulas {n_set} are set, {n_bad} wrongly")
            if screenshots:
                name = "-".join(path.relative_to(site).with_suffix("").parts)
                browser.screenshot(screenshots / f"{name}-{width}.png", whole=True)
    return wrong


def check_search(browser, address):
    """What is wrong with the search, and how much it finds."""
    browser.open(f"{address}/search.html?q={SEARCHED}")
    browser.wait_for("/found|did not match/.test(document.querySelector('main').textContent)")
    found = browser.evaluate(
        "[...document.querySelectorAll('#search-results li > a')].map(a => a.textContent)"
    )
    wrong = browser.errors()
    if not any(FOUND in each for each in found):
        wrong.append(f"the search for {SEARCHED} finds {found}")
    return wrong, len(found)


def main(arguments=None):
    """Check, and print the report; the number of things that are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="the folder that sphinx-build has written")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the pages")
    parser.add_argument("--no-browser", action="store_true", help="follow links only")
    options = parser.parse_args(arguments)
    site = options.site.resolve()
    pages, n_links, wrong = check_links(site)
    print(f"{len(pages)} pages, {n_links} links inside the site")
    if not options.no_browser:
        from browser import Browser

        if options.screenshots:
            options.screenshots.mkdir(parents=True, exist_ok=True)
        with served(site) as address, Browser() as browser:
            wrong += check_pages(browser, site, address, pages, options.screenshots)
            of_search, n_found = check_search(browser, address)
        wrong += of_search
        widths = " and ".join(map(str, WIDTHS))
        print(f"drawn at {widths} pixels, {n_found} found for {SEARCHED}")
    print(*(wrong or ["nothing is wrong"]), sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
