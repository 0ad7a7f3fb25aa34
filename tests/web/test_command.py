import socket

import pytest
from click.testing import CliRunner

from newsletter.cli.web import command


def test_a_port_that_is_taken_is_refused_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        result = CliRunner().invoke(command, ["--port", port])

    assert result.exit_code == 1
    assert f"port {port}: Address already in use. Choose another --port." in result.output


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "x"], ["--workers", "0"]])
def test_a_number_that_cannot_be_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(command, arguments)

    assert result.exit_code == 2
    assert "Invalid value" in result.output
