"""What the tests of the command line share."""

import pytest

from retimbre.cli import app


@pytest.fixture
def run(capsys):
    """Runs a command line; returns its exit status, standard output and standard error."""

    def run(*words):
        status = app.run([str(word) for word in words])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run
