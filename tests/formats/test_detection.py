"""Which format a file has: its content decides, then its name, in documented order."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import napari_4dstem as n4
from napari_4dstem.formats import FORMATS, identify
from tests.formats.contract import Case, FileContract

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "index.md"
ENDINGS = sorted({ending for f in FORMATS.values() for ending in f.extensions})
OTHERS = (".tif", ".emd2", ".dat", "")
# Two types have the same mark, and only the name tells one from the other.
SHARED = {("dm", ".gtg")}
# One file of theirs alone does not tell the type. Those of k2is are huge: see there.
UNMARKED = {"empad", "raw"}


def documented(heading: str) -> list[str]:
    """Return the types in the table of the page that has this column."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index(heading) :].split("\n\n")[0]
    return re.findall(r"^\|(?: \d+ \|)? `(\w+)` \|", table, re.MULTILINE)


def files_of_all_formats() -> list[Case]:
    """Return a case of every format of files."""
    found = {}
    for name in FORMATS:
        module = importlib.import_module(f"tests.formats.test_{name}")
        for suite in vars(module).values():
            is_suite = inspect.isclass(suite) and issubclass(suite, FileContract)
            if is_suite and hasattr(suite, "cases"):
                found.setdefault(name, suite.cases[0])
    return [case for name, case in found.items() if name != "k2is"]


CASES = files_of_all_formats()


def path_of(case: Case, folder: Path) -> Path:
    """Return a file with frames."""
    parameters, _ = case.save(folder, case.make_scan())
    path = Path(parameters["path"])
    return next(folder.glob("*.frms6")) if path.suffix == ".hdr" else path


def test_all_formats_of_files_are_tried_here():
    tried = {case.filetype for case in CASES} | {"k2is"}
    assert tried == {f.name for f in FORMATS.values() if f.takes_path}


def test_order_of_trials_is_the_documented_one():
    asked = [f.name for f in FORMATS.values() if f.takes_path and f.name != "raw"]
    assert documented("| | type | mark |") == asked


def test_formats_that_names_tell_are_the_documented_ones():
    named = [f.name for f in FORMATS.values() if f.by_name]
    assert documented("| type | called | and |") == named


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.filetype)
def test_content_decides_whatever_the_name(case, tmp_path):
    content = path_of(case, tmp_path).read_bytes()
    if case.filetype in UNMARKED:
        pytest.skip("the content of a single file does not tell this format")
    for ending in (*ENDINGS, *OTHERS):
        if (case.filetype, ending) in SHARED:
            continue
        alone = tmp_path / ending.strip(".") / f"scan_1{ending}"
        alone.parent.mkdir(exist_ok=True)
        alone.write_bytes(content)
        assert identify(alone).name == case.filetype, alone.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.filetype)
@pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
def test_wrong_name_opens_or_is_refused_clearly(case, tmp_path):
    content = path_of(case, tmp_path).read_bytes()
    for ending in (*ENDINGS, *OTHERS):
        alone = tmp_path / ending.strip(".") / f"scan_1{ending}"
        alone.parent.mkdir(exist_ok=True)
        alone.write_bytes(content)
        refused = None
        try:
            assert n4.detect(alone).filetype == case.filetype
        except n4.FormatError as error:
            refused = error
        assert refused is None or (refused.path and refused.hint)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "content",
    [
        b"II*\0\x08\0\0\0" + bytes(4096),
        b"\x89PNG\r\n\x1a\n" + bytes(4096),
        b"PK\3\4" + bytes(4096),
        b"lens 2 was off\n" * 300,
        bytes(4096),
        bytes(range(256)) * 16,
    ],
    ids=["tiff", "png", "zip", "text", "zeros", "count"],
)
def test_name_alone_never_opens_a_file_of_something_else(tmp_path, ending, content):
    path = tmp_path / f"scan_1{ending}"
    path.write_bytes(content)
    with pytest.raises(n4.FormatError) as told:
        n4.load("auto", path)
    assert told.value.path == str(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.filetype)
def test_endings_may_be_in_upper_case(case, tmp_path):
    path = path_of(case, tmp_path)
    if case.filetype == "raw":
        pytest.skip("nothing in a raw file tells this format")
    found = n4.detect(path)
    for file in sorted(tmp_path.iterdir()):
        if file.suffix in FORMATS[case.filetype].extensions:
            file.rename(file.with_suffix(file.suffix.upper()))
    again = n4.detect(path.with_suffix(path.suffix.upper()))
    assert again.filetype == found.filetype == case.filetype
    assert again.parameters["nav_shape"] == found.parameters["nav_shape"]
