"""The notebook diagram leads to our pages once they are published, and nowhere until then.

Where the site has been built (``sphinx-build docs docs/_build/html``) its links are followed.
"""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

import sklearn_twolayer
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _documentation

DOCS = Path(__file__).parents[1] / "docs"
BUILT = DOCS / "_build" / "html"
ESTIMATORS = (TwoLayerClassifier, TwoLayerRegressor)
ADDRESS = "https://example.invalid/stable/"


class Words(HTMLParser):
    """The visible words of a page, in order."""

    def __init__(self, path):
        super().__init__()
        self.parts = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data):
        self.parts.append(data)

    def text(self):
        return " ".join("".join(self.parts).split())


def links(estimator):
    """Where the diagram of an estimator leads to."""
    return [
        unescape(link) for link in re.findall(r'href="([^"]*)"', estimator_html_repr(estimator))
    ]


@pytest.fixture(scope="module")
def fitted():
    options = {"hidden_size": 2, "alpha": 1.0, "max_iter": 5, "solver": "adam", "tol": 1.0}
    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    return [estimator(**options, n_iter_no_change=1).fit(X, y) for estimator in ESTIMATORS]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_link_while_there_is_no_site(estimator):
    assert not links(estimator())
    of_others = links(make_pipeline(estimator()))
    assert not [link for link in of_others if estimator.__name__ in link]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_place_names_the_site(estimator, monkeypatch):
    monkeypatch.setattr(_documentation, "SITE", ADDRESS)
    page = f"{ADDRESS}api/generated/sklearn_twolayer.{estimator.__name__}.html"
    found = links(estimator())
    assert found
    assert all(link.partition("#")[0] == page for link in found)


def test_subclasses_of_others_have_no_page(monkeypatch):
    class Theirs(TwoLayerRegressor):
        """In a module of its own."""

    monkeypatch.setattr(_documentation, "SITE", ADDRESS)
    assert not links(Theirs())


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is in a checkout only")
def test_the_reference_lists_what_is_public():
    listed = (DOCS / "api" / "index.rst").read_text(encoding="utf-8").split()
    assert not set(sklearn_twolayer.__all__) - set(listed)


@pytest.mark.skipif(not DOCS.exists(), reason="the citation is in a checkout only")
def test_the_citation_is_of_this_version():
    citation = (DOCS.parent / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {sklearn_twolayer.__version__}\n" in citation


def text_of_link(link):
    """The page that a link leads to and the words that it is to be opened at."""
    parts = urlsplit(link)
    _, _, wanted = parts.fragment.partition(":~:text=")
    start, _, behind = wanted.partition(",-")
    return Path(unquote(parts.path)), unquote(start), unquote(behind)


@pytest.mark.skipif(not BUILT.exists(), reason="the site has not been built")
@pytest.mark.parametrize("number", range(len(ESTIMATORS)))
def test_links_lead_to_what_the_built_pages_say(number, monkeypatch, fitted):
    monkeypatch.setattr(_documentation, "SITE", BUILT.as_uri() + "/")
    found = [text_of_link(link) for link in links(fitted[number])]
    (page,) = {path for path, _, _ in found}
    said = Words(page).text()
    names = [name for _, name, _ in found if name]
    assert set(fitted[number].get_params()) <= set(names)
    # a parameter or an attribute, and its type right behind it
    lost = [
        (name, of_type)
        for _, name, of_type in found
        if not re.search(rf"\b{re.escape(name)} ?:? ?{re.escape(of_type)}", said)
    ]
    assert not lost
