"""The page of the representations, docs/representations.md, as laws over every entry of the catalog."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from retimbre.representation.aliases import ALIASES
from retimbre.representation.catalog import REPRESENTATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "representations.md").read_text(encoding="utf-8")
PICTURES = ROOT / "docs" / "pictures" / "representations"
NAMES = sorted(REPRESENTATIONS)
FACTS = ("Formula", "Features", "Exact", "Cost", "Settings", "Reference")


def section(name):
    """What stands between an entry's heading and the next heading."""
    found = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_has_a_section_with_prose_facts_and_its_picture(name):
    prose, _, facts = section(name).partition(f"<!-- facts: {name} -->")
    assert len(prose.split()) >= 4
    # The samples themselves have no settings, and nobody to thank for them.
    wanted = ("Features", "Exact", "Cost") if name == "waveform" else FACTS
    assert [fact for fact in wanted if f"**{fact}**" not in facts] == []
    assert f"](pictures/representations/{name}.png)" in facts


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_shows_three_sounds_in_less_than_60_kilobytes(name):
    path = PICTURES / f"{name}.png"
    assert path.stat().st_size < 60_000
    with Image.open(path) as picture:
        assert picture.width == 840
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 8


def test_there_is_no_picture_and_no_section_of_what_is_no_entry():
    assert {path.stem for path in PICTURES.glob("*.png")} == set(NAMES)
    assert set(re.findall(r"^<!-- facts: (.*) -->$", PAGE, re.MULTILINE)) == set(NAMES)


def test_the_earlier_program_s_spellings_are_told():
    assert [spelling for spelling in ALIASES if f"`{spelling}`" not in PAGE] == []


def test_the_files_that_the_page_links_to_are_there():
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_the_facts_are_those_of_the_catalog_and_of_the_timing_study():
    script = [sys.executable, "scripts/make_representation_facts.py", "--check"]
    checked = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
