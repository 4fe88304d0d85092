"""The server of the page: on this machine only, at an address with a secret, with nothing from elsewhere."""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dyntheory.shell.explorer.lanes import Lane
from dyntheory.shell.explorer.page import Lanes, Page
from dyntheory.shell.explorer.state import TOKEN, State, encoded, from_query
from dyntheory.shell.explorer.texts import TEXTS
from dyntheory.shell.explorer.warned import warnings_by_thread

HOST = "127.0.0.1"
MISSING = "The page needs Panel, which is not installed: pip install dyntheory[explore]"
TRIES = 20
PATIENCE = 5.0  # seconds for the threads to leave what they compute when the server ends


def check_panel() -> None:
    """Import Panel, and say what to do when it is not there.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import panel as pn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING) from error
    pn.extension(inline=False)


def serve(start: State, *, announce: Callable[[str], None]) -> None:
    """Serve the page until the process is interrupted.

    Args:
        start: what a visit shows whose address says nothing else.
        announce: called with the address, secret included, once the page can be opened.

    Raises:
        ModuleNotFoundError: Panel is not installed.
    """
    check_panel()
    token = secrets.token_urlsafe(24)
    usual = signal.getsignal(signal.SIGINT)
    lanes = Lanes(Lane("theory"), Lane("simulation"))
    server = _listening(lambda: _visit(start, lanes, token))
    with warnings_by_thread(), contextlib.suppress(KeyboardInterrupt):
        server.start()
        announce(f"http://{HOST}:{server.port}/{encoded({}, token)}")
        server.io_loop.start()
    signal.signal(signal.SIGINT, usual)  # Panel's handler has stopped the loop; a second Ctrl-C shall end the waiting
    lanes.close(PATIENCE)
    server.stop()


def is_allowed(query: dict[str, list[str]], token: str) -> bool:
    """Return whether the query of an address has the secret."""
    given = query.get(TOKEN, [""])[-1]
    return secrets.compare_digest(given.encode(), token.encode())


def _listening(app: Callable[[], Any]) -> Any:
    """Return a server at a free port; another process may take the port meanwhile, then another is tried."""
    from bokeh.settings import settings
    from panel.io.server import get_server

    logging.getLogger("bokeh").setLevel(logging.ERROR)
    settings.resources = "server"  # whatever the environment says: nothing is taken from elsewhere,
    for last in range(TRIES):
        port = _free_port()
        settings.allowed_ws_origin = [f"{HOST}:{port}"]  # and no other site may join
        try:
            return get_server(
                app, port=port, address=HOST, websocket_origin=[f"{HOST}:{port}"], title="dyntheory explore"
            )
        except OSError:
            if last == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return found.getsockname()[1]


def _visit(start: State, lanes: Lanes, token: str) -> Any:
    """Return what one visit is shown: the page, or a refusal."""
    import panel as pn

    location, document = pn.state.location, pn.state.curdoc
    assert location is not None and document is not None, "there is both where a page is made"
    query = parse_qs((location.search or "").removeprefix("?"))
    if not is_allowed(query, token):
        return pn.pane.HTML("".join(f"<p>{texts['refused']}</p>" for texts in TEXTS.values()))
    try:
        state, complaint = from_query(query, start), ""
    except ValueError as error:
        state, complaint = start, str(error)
    page = Page(state, start, lanes, token, document.add_next_tick_callback, location)
    page.results.address_refused = complaint
    page.results.describe()
    pn.state.on_session_destroyed(page.close)
    source = Path(__file__).with_name("template.html").read_text(encoding="utf-8")
    template = pn.Template(source)
    template.location = True
    template.add_panel("controls", page.form)
    template.add_panel("curves", page.results.above)
    template.add_panel("results", page.results.below)
    return template
