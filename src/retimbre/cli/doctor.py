"""`retimbre doctor`: what is installed here and what the machine has."""

from typing import Any

from retimbre.cli import console
from retimbre.cli.options import Json


def doctor(json: Json = False) -> None:
    """Shows versions, devices, threads, optional parts and the checkpoints that came along.

    Example:
        retimbre doctor --json
    """
    from retimbre.workflows.doctor import examine

    facts = examine()
    if json:
        console.show_json(facts)
        return
    for name, fact in facts.items():
        for line in _lines(fact):
            console.show(f"{name:<12} {line}")
            name = ""  # the name stands before its first line only


def _lines(fact: Any) -> list[str]:
    if isinstance(fact, dict):
        return [f"{key} {_word(value)}" for key, value in fact.items()]
    if isinstance(fact, list):
        return [", ".join(_lines(item)) if isinstance(item, dict) else _word(item) for item in fact] or [
            "none"
        ]
    return [_word(fact)]


def _word(value: Any) -> str:
    words = {True: "installed", False: "not installed", None: "none"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
