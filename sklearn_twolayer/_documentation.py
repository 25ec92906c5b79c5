"""Where the documentation is published: the notebook diagram links to it, once it is."""

SITE = ""
"""The address of the site, with a slash at the end; empty while there is none, and no links."""

PAGE = "api/generated/{estimator_module}.{estimator_name}.html"
"""The page of an estimator there."""


class DocumentationMixin:
    """What scikit-learn's diagram asks an estimator for its page and those of its parameters."""

    _doc_link_module = "sklearn_twolayer"

    @property
    def _doc_link_template(self):
        return SITE and SITE + PAGE
