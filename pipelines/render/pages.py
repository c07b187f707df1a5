"""Pages from templates: escaped, self-contained, without script, under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ontology.labels import label_of
from phenotype.explain.sentences import band_words, value_words
from phenotype.explain.wording import (
    about_100_words,
    count_words,
    instant_words,
    long_instant_words,
    number_words,
    of_100_words,
    percent_words,
    short_id_words,
)
from phenotype.report.model import decimal_words

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, **content: Any) -> str:
    """One page of HTML.

    Args:
        template: the template's file name.
        content: what it says; every text is escaped, only drawings are taken as they are.
    """
    return _environment().get_template(template).render(**content)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """The templates with the words they use; an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "style.css").read_text("utf-8")
    environment.globals |= {"style": Markup(style), "policy": content_policy(style)}  # noqa: S704  our own file
    environment.filters |= {
        "count": count_words,
        "percent": percent_words,
        "number": number_words,
        "decimal": decimal_words,
        "of_100": of_100_words,
        "about_100": about_100_words,
        "short_id": short_id_words,
        "label": label_of,
    }
    environment.globals |= {
        "instant": instant_words,
        "long_instant": long_instant_words,
        "value_words": value_words,
        "band_words": band_words,
    }
    return environment


def content_policy(style: str) -> str:
    """The content security policy of a page: its own style sheet by digest, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
