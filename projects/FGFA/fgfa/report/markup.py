"""HTML from Python: text is escaped unless it is markup already."""

import base64
import html
from collections.abc import Sequence

_WITHOUT_END = {"img", "meta"}


class Html(str):
    """Markup, which goes into a page as it is."""


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """An element with its children.

    Args:
        name: such as "p".
        children: `Html` is taken as it is, other text is escaped.
        attributes: such as `alt="a dog"`, escaped; a trailing underscore is left out (`class_`).
    """
    texts = [f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items()]
    start = f"<{name}{''.join(texts)}>"
    return Html(start if name in _WITHOUT_END else f"{start}{join(*children)}</{name}>")


def join(*children: str) -> Html:
    """Children one after the other."""
    return Html(
        "".join(child if isinstance(child, Html) else html.escape(child) for child in children)
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """A table whose first column names the rows, in a box that scrolls where it is too wide."""
    names = element("tr", *(element("th", text, scope="col") for text in head))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", text) for text in rest))
        for first, *rest in rows
    ]
    whole = element("table", element("thead", names), element("tbody", *body))
    return element("div", whole, class_="wide")


def image(data: bytes, kind: str, alt: str) -> Html:
    """An image that is part of the page.

    Args:
        data: the file.
        kind: its MIME type, such as "image/svg+xml".
        alt: what it shows.
    """
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return element("img", src=source, alt=alt, loading="lazy")
