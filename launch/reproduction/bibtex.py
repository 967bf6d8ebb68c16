"""`paper.bib`: what is reproduced, for a list of references."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .paper import Work

_VENUE = {"article": "journal", "inproceedings": "booktitle"}
_ESCAPED = re.compile(r"([&%$#_])")


def entries(works: Sequence[Work]) -> str:
    """The file's text. Titles keep their capitals; DOIs and addresses stand as they are."""
    return "\n".join(_entry(work) for work in works)


def _entry(work: Work) -> str:
    fields = {
        "title": f"{{{_escaped(work.title)}}}",
        "author": " and ".join(_escaped(author) for author in work.authors),
        _VENUE.get(work.kind, "howpublished"): _escaped(work.venue),
        "year": str(work.year),
        "volume": work.volume,
        "pages": work.pages and work.pages.replace("–", "--"),
        "doi": work.doi,
        "url": work.url,
        "note": _escaped(work.note),
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{work.kind}{{{work.key},\n{lines}}}\n"


def _escaped(text: str | None) -> str:
    return _ESCAPED.sub(r"\\\1", text or "")
