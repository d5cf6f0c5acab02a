"""XML of annotation files: without document types, so without entities that grow or reach for other files."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from diffgram_flows.datasets.formats.base import read_bytes
from diffgram_flows.errors import DatasetError

_LARGEST = 16 * 1024**2  # bytes


class _Refused(Exception):
    """A document type was found."""


def parse_xml(path: Path) -> Element:
    """The root of an XML file of at most 16 MB.

    Raises:
        DatasetError: It cannot be read, is malformed, or declares a document type; the message names the line.
    """
    content = read_bytes(path, limit=_LARGEST)
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except _Refused as error:
        what = "declares a document type, which could hold entities that grow without end"
        raise DatasetError(f"{path} {what}.", cure="Remove the line that begins with <!DOCTYPE.") from error
    except expat.ExpatError as error:
        raise DatasetError(
            f"{path} is no XML: {expat.ErrorString(error.code)} (line {error.lineno}).",
            cure="Correct the file, or export it from its tool again.",
        ) from error
    except (ValueError, LookupError) as error:
        raise DatasetError(f"{path} has an encoding that is not known.", cure="Save it as UTF-8.") from error


def _refuse(*_: object) -> NoReturn:
    raise _Refused
