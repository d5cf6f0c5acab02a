"""Pages of an S3 listing, read without botocore's model of them, which is most of what a listing costs (measured).

Sending, signing, repeating and errors stay botocore's: this is only another parser for one kind of good reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

ENTRIES = "Entries"
"""Where a page holds its objects, as tuples ``(key, size, etag, modified, storage class)``."""

Entry = tuple[str, int, str, datetime, str]


def use_lean_pages(session: Any) -> None:
    """Let the clients of a botocore session parse ``ListObjectsV2`` this way; keys must be asked for URL-encoded."""
    from botocore.parsers import ResponseParserFactory

    class Factory(ResponseParserFactory):  # type: ignore[misc]
        def create_parser(self, protocol_name: str) -> Any:
            return _LeanParser(super().create_parser(protocol_name))

    session.register_component("response_parser_factory", Factory())


class _LeanParser:
    """The usual parser, but for pages of objects."""

    def __init__(self, usual: Any) -> None:
        self._usual = usual

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        if response["status_code"] != 200 or shape is None or shape.name != "ListObjectsV2Output":
            return self._usual.parse(response, shape)
        page = parse_page(response["body"])
        headers = {name.lower(): value for name, value in response["headers"].items()}
        page["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": headers}
        return page


def parse_page(body: bytes) -> dict[str, Any]:
    """``IsTruncated``, ``NextContinuationToken`` and the entries of a page.

    Raises:
        ResponseParserError: It is no complete page.
    """
    from botocore.parsers import ResponseParserError

    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - as botocore does; expat limits how entities may grow
        space = root.tag.rpartition("}")[0] + "}" if root.tag.startswith("{") else ""
        page: dict[str, Any] = {
            "IsTruncated": root.findtext(space + "IsTruncated") == "true",
            ENTRIES: list(_entries(root, space)),
        }
    except (ElementTree.ParseError, KeyError, ValueError, AttributeError) as error:
        raise ResponseParserError("The listing is not what S3 sends.") from error
    token = root.findtext(space + "NextContinuationToken")
    return page | ({"NextContinuationToken": token} if token else {})


def _entries(root: ElementTree.Element, space: str) -> Iterator[Entry]:
    key_tag, size_tag, etag_tag = space + "Key", space + "Size", space + "ETag"
    time_tag, class_tag, restore_tag = space + "LastModified", space + "StorageClass", space + "RestoreStatus"
    encoded = root.findtext(space + "EncodingType") == "url"  # some servers do not do what they are asked for
    for element in root.iterfind(space + "Contents"):
        fields = {child.tag: child.text for child in element}
        key, modified, kind = fields[key_tag] or "", fields[time_tag] or "", fields.get(class_tag) or ""
        yield (
            unquote_plus(key) if encoded and ("%" in key or "+" in key) else key,
            int(fields[size_tag] or ""),
            (fields.get(etag_tag) or "").strip('"'),
            datetime.fromisoformat(modified),
            _storage_class(element, kind, space) if restore_tag in fields else kind,
        )


def _storage_class(element: ElementTree.Element, name: str, space: str) -> str:
    """The class, with a word more where a copy was taken out of the archive and is still there."""
    until = element.findtext(f"{space}RestoreStatus/{space}RestoreExpiryDate")
    return f"{name} (restored)" if until and datetime.fromisoformat(until) > datetime.now(UTC) else name
