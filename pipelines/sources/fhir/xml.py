"""FHIR XML -> the dictionary that the resource's JSON would give, without entities or outside references."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pipelines.sources.fhir.elements import Element, elements, resource_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

    from pipelines.sources.fhir.elements import Model

FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"

MOST_BYTES = 256 * 1024 * 1024
"""A larger document is refused unread."""

DEEPEST = 100
"""How many elements may stand within one another; a narrative is not counted, libxml2 bounds it by 256."""

_ANY = Element(is_list=False, kind="complex")
_RESOURCES = Element(is_list=False, kind="resource")
_PROLOG = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,400})(?:\.\d{1,400})?(?:[eE][+-]?\d{1,3})?")
_WRONG_NAMESPACE = "XML: an element of another namespace than FHIR's"


class UnreadableXmlError(ValueError):
    """A document that is no FHIR XML; its text is a fixed reason without any of the document's values."""


def parse_xml(content: bytes, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The resource (or Bundle) of a FHIR XML document, shaped as its JSON form.

    Lists, numbers and booleans are told from R4B's element definitions; `id` and `extension` of a primitive
    stand under `_name`, narratives are one text, contained resources have their `resourceType`. An element
    that R4B does not know is kept as text, dictionary or list, by how it looks: it may tell another version.

    Args:
        content: the document, UTF-8 (as FHIR demands), with or without a byte order mark.
        most_bytes: a larger document is refused unread.

    Raises:
        UnreadableXmlError: not well formed, no FHIR, not UTF-8, a document type declaration (the only way to
            entities and outside references), too large or too deep.

    **Source:** HL7 FHIR R4 4.0.1, XML representation (xml.html) and JSON representation (json.html).
    """
    if len(content) > most_bytes:
        raise UnreadableXmlError("XML: the document is larger than the limit")
    root = _parsed(content.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(root.tag, str) or not root.tag.startswith(FHIR):
        raise UnreadableXmlError("XML: the document is not in FHIR's namespace")
    return _resource(root, 0)


def _parsed(content: bytes) -> etree._Element:
    """The tree of a document that was seen to have no document type declaration."""
    from lxml import etree

    prolog = _PROLOG.match(content)
    if content.startswith(b"<!", prolog.end() if prolog else 0):
        raise UnreadableXmlError("XML: a document type declaration is not accepted")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableXmlError("XML: the document is not UTF-8") from None
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise UnreadableXmlError(
            "XML: the document is not well formed, or beyond the parser's limits"
        ) from None
    if root is None or root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableXmlError("XML: a document type declaration is not accepted")
    return root


def _resource(node: etree._Element, depth: int) -> dict[str, Any]:
    """One resource: its type is the element's name."""
    resource_type = _name(node)
    model = resource_model(resource_type)
    return {"resourceType": resource_type, **_members(node, model, depth)}


def _members(node: etree._Element, model: Model | None, depth: int) -> dict[str, Any]:
    """The elements within a resource or a complex type, repeated ones gathered to lists."""
    if depth > DEEPEST:
        raise UnreadableXmlError("XML: elements stand too deep within one another")
    known: Mapping[str, Element] = elements(model) if model else {}
    found: dict[str, Any] = {name: node.get(name) for name in ("id", "url") if node.get(name) is not None}
    _check_text(node)
    sent: dict[str, list[etree._Element]] = {}
    for child in node:
        sent.setdefault(_name(child), []).append(child)
    for name, children in sent.items():
        element = known.get(name) or _guessed(children[0])
        if element.kind in {"complex", "resource"}:
            values = [_complex(child, element, depth + 1) for child in children]
            found[name] = values if element.is_list or len(values) > 1 else values[0]
        else:
            found |= _primitives(name, children, element, depth + 1)
    return found


def _complex(node: etree._Element, element: Element, depth: int) -> Any:
    """A complex value, or the one resource that stands within the element."""
    if element.kind == "complex":
        return _members(node, element.model, depth)
    if len(node) != 1:
        raise UnreadableXmlError("XML: an element that holds one resource holds none or several")
    return _resource(node[0], depth + 1)


def _primitives(name: str, nodes: list[etree._Element], element: Element, depth: int) -> dict[str, Any]:
    """A primitive's values under its name, its ids and extensions under `_name`."""
    if element.kind == "xhtml":
        return {name: _narrative(nodes[0])}
    values = [_typed(node.get("value"), element) for node in nodes]
    extras = [_extras(node, depth) for node in nodes]
    is_list = element.is_list or len(nodes) > 1
    found: dict[str, Any] = {}
    if any(value is not None for value in values):
        found[name] = values if is_list else values[0]
    if any(extras):
        found[f"_{name}"] = [extra or None for extra in extras] if is_list else extras[0]
    return found


def _extras(node: etree._Element, depth: int) -> dict[str, Any]:
    """What a primitive carries beside its value."""
    from fhir.resources.R4B.element import Element as ElementModel

    return _members(node, ElementModel, depth)


def _typed(text: str | None, element: Element) -> Any:
    """A primitive's value as JSON writes it; what is no such value stays a text, a fault to be told."""
    if text is None:
        return None
    if element.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if element.kind in ("integer", "decimal") and _INTEGER.fullmatch(text):
        return int(text)
    if element.kind == "decimal" and _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _guessed(node: etree._Element) -> Element:
    """An element that R4B does not know: a value, a resource, or elements of its own."""
    if node.get("value") is not None:
        return Element(is_list=False, kind="text")
    is_resource = len(node) == 1 and resource_model(_name(node[0])) is not None
    return _RESOURCES if is_resource else _ANY


def _narrative(node: etree._Element) -> str:
    """The xhtml of a narrative as one text, without what follows it."""
    from lxml import etree

    return str(etree.tostring(node, encoding="unicode", with_tail=False))


def _name(node: etree._Element) -> str:
    """An element's name without FHIR's namespace; of a narrative's `div` likewise."""
    tag = node.tag
    if not isinstance(tag, str):
        raise UnreadableXmlError("XML: an entity reference is not accepted")
    if tag == f"{XHTML}div":
        return "div"
    if not tag.startswith(FHIR):
        raise UnreadableXmlError(_WRONG_NAMESPACE)
    return tag[len(FHIR) :]


def _check_text(node: etree._Element) -> None:
    """FHIR writes values as attributes: text between elements would be lost unseen, so it is refused."""
    texts = (node.text, *(child.tail for child in node))
    if any(text and not text.isspace() for text in texts):
        raise UnreadableXmlError("XML: text between elements, where FHIR has none")
