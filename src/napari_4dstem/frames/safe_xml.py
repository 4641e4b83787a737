"""XML beside a file or inside of one. It comes from strangers: no entities, no DTD."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from napari_4dstem.errors import FormatError

# Of a binary file with XML in it so much is searched, and a piece is not longer.
MAX_SEARCHED, MAX_PIECE = 2**28, 2**20


def parse_xml(path: Path, text: bytes) -> Element:
    """Return the root element of an XML text.

    Parameters
    ----------
    path : Path
        Where the text comes from, for messages.
    text : bytes
        The caller sees to its length.

    Raises
    ------
    FormatError
        If it is no well-formed XML, or declares a document type: entities and default
        attributes make gigabytes out of a small file.
    """

    def refuse(*_: Any) -> NoReturn:
        raise FormatError(
            path,
            "the XML declares entities or a document type (DOCTYPE), which can hide an"
            " attack and is not read",
            offset=parser.CurrentByteIndex,
            hint="No acquisition software writes that. Where does the file come from?",
        )

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text, True)
    except FormatError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        # the latter two: an encoding that Python does not know
        raise FormatError(
            path,
            f"the XML is incomplete or damaged ({error})",
            hint="The copy was interrupted, or the file was edited: get it again.",
        ) from error
    return builder.close()


def xml_pieces(path: Path, tag: str) -> Iterator[bytes]:
    """Yield the elements of a name that lie somewhere in a binary file.

    Parameters
    ----------
    path : Path
    tag : str
        Name of the element, which has no attributes and is not nested.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    first, last = f"<{tag}>".encode(), f"</{tag}>".encode()
    buffer, searched = b"", 0
    try:
        with open(path, "rb") as file:
            while searched < MAX_SEARCHED and (chunk := file.read(MAX_PIECE)):
                buffer, searched = buffer + chunk, searched + len(chunk)
                while (begin := buffer.find(first)) >= 0:
                    end = buffer.find(last, begin) + len(last)
                    if end < len(last):
                        break
                    yield buffer[begin:end]
                    buffer = buffer[end:]
                buffer = buffer[begin:] if begin >= 0 else buffer[-len(first) :]
                if len(buffer) > MAX_PIECE:
                    return
    except OSError as error:
        raise FormatError(
            path, f"the file cannot be read ({error.strerror or error})"
        ) from error
