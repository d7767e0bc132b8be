"""The rules of the house that a machine can check, as laws over every module, command and page."""

import ast
import importlib
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import retimbre
from retimbre.cli.app import tree
from retimbre.core.config import read_run_file
from retimbre.workflows.catalogs import KINDS, names

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))


def every_command(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The commands that do something, without the groups that hold them."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
        return
    for name, child in inner.items():
        yield from every_command(child, (*path, name))


VERBS = [name for name in dir(retimbre) if not name.startswith("_")]
COMMANDS = dict(every_command(tree()))

# Where the entries of each catalog are documented.
PAGES = {
    "synths": ("synths.md",),
    "representations": ("representations.md",),
    "models": ("models.md", "generators.md"),
    "metrics": ("metrics.md",),
    "corpora": ("data.md",),
    "checkpoints": ("models.md", "generators.md"),
}


def in_house(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def tracked_text_files() -> Iterator[tuple[str, str]]:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            yield name, content.decode("utf-8")


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    found = [path for path in MODULES if path.stem in drawers or path.parent.name in drawers]
    assert in_house(found) == []


def test_every_module_fits_into_a_reader_s_head() -> None:
    # About 300 lines is the rule; the slack is for a docstring that teaches.
    long = {str(path.relative_to(ROOT)): lines for path in MODULES if (lines := line_count(path)) > 330}
    assert long == {}


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_every_module_opens_with_a_docstring() -> None:
    silent = [path for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert in_house(silent) == []


def test_a_package_s_init_holds_a_docstring_and_no_work() -> None:
    # The root's looks the verbs up lazily; that is its list.
    busy = [
        path
        for path in MODULES
        if path.name == "__init__.py" and path.parent != ROOT / "src" / "retimbre" and line_count(path) > 20
    ]
    assert in_house(busy) == []


def test_nothing_is_ever_unpickled() -> None:
    unpicklers = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|dill|joblib|shelve|marshal)\b"
        r"|torch\.(?:load|save)\(|allow_pickle\s*=\s*True|weights_only\s*=\s*False",
        re.MULTILINE,
    )
    # The weights of others come as pickles too; this one call makes tensors and runs no code of the file's.
    restricted = re.compile(
        r"^import pickle  # noqa: TID251 \(for the name of an error that torch\.load raises\)$"
        r"|torch\.load\(path, map_location=\"cpu\", weights_only=True\)",
        re.MULTILINE,
    )
    texts = {path: path.read_text(encoding="utf-8") for path in MODULES}
    texts |= {
        path: restricted.sub("", text) for path, text in texts.items() if path.name == "weights_file.py"
    }
    assert in_house([path for path, text in texts.items() if unpicklers.search(text)]) == []


def test_no_tracked_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w.$}])/(?:work|root|home|tmp|Users)/\w")
    found = [name for name, text in tracked_text_files() if place.search(text)]
    assert found == []


def test_the_version_is_the_newest_of_the_changelog() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == retimbre.__version__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_package_is_a_documented_function(verb: str) -> None:
    function = getattr(retimbre, verb)
    assert callable(function)
    assert function.__doc__


def test_no_verb_is_hidden_by_a_package_of_its_name() -> None:
    top = Path(str(retimbre.__file__)).parent
    packages = {
        path.parent.name for path in MODULES if path.parent.parent == top and path.name == "__init__.py"
    }
    assert set(VERBS) & packages == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_entry_of_a_catalog_is_listed_once_and_documented(kind: str) -> None:
    rows = names(kind)
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES[kind])
    # A generator and the critic that judges it may have one name, and a run file names both.
    assert len({(row["name"], row.get("task")) for row in rows}) == len(rows)
    assert [row["name"] for row in rows if f"`{row['name']}`" not in text] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    assert f"retimbre {name}" in COMMANDS[name].help.partition("Example:\n")[2]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_of_a_command_is_explained(name: str) -> None:
    assert [option.name for option in COMMANDS[name].params if not option.help] == []


@pytest.mark.parametrize("page", ["README.md", *sorted(in_house(list((ROOT / "docs").glob("*.md"))))])
def test_every_command_line_in_the_documentation_is_understood(page: str) -> None:
    for line in command_lines((ROOT / page).read_text(encoding="utf-8")):
        assert parses(line), f"{page}: {line}"


@pytest.mark.parametrize("page", sorted(in_house([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])))
def test_every_link_of_a_page_to_a_file_leads_to_one(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in files if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_readme_shows_command_lines() -> None:
    assert any(command_lines((ROOT / "README.md").read_text(encoding="utf-8")))


def command_lines(text: str) -> Iterator[str]:
    """The lines of code blocks that call `retimbre`, with continued lines joined and comments cut off."""
    for block in re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ").partition(" #")[0]
            if words.startswith("retimbre "):
                yield words


def parses(line: str) -> bool:
    """Whether the command exists and takes these options and arguments; nothing is run."""
    command, words = tree(), shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    try:
        command.make_context("retimbre", words)
    except typer.Exit:  # --help and --version end while they are parsed
        return True
    except typer.TyperException:
        return False
    return not hasattr(command, "commands")


@pytest.mark.parametrize("path", sorted(in_house(list((ROOT / "runs").glob("*.toml")))))
def test_every_published_run_file_reads(path: str) -> None:
    assert read_run_file(ROOT / path)


def test_the_generated_pages_are_fresh() -> None:
    script = [sys.executable, "scripts/make_docs.py", "--check"]
    checked = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


HELP = "from retimbre.cli.app import run; run(['--help'])"


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "scipy", "pydantic", "rich", "matplotlib", "soundfile", "jinja2"}
    program = f"{HELP}\nimport sys; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(output.splitlines()[-1].split())
    assert loaded & heavy == set()
    assert [name for name in loaded if name.startswith("retimbre.workflows.")] == []


def test_help_costs_less_than_three_tenths_of_a_second_beyond_the_interpreter() -> None:
    # Processor time, and the least of three starts each: other work on the machine does not count.
    assert min(start_cost_s(HELP) for _ in range(3)) - min(start_cost_s("") for _ in range(3)) < 0.3


def start_cost_s(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_every_package_of_the_house_can_be_imported() -> None:
    # Adapters to optional engines import them inside functions, so that no module needs an extra to be imported.
    for path in MODULES:
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        importlib.import_module(".".join(part for part in parts if part != "__init__"))
