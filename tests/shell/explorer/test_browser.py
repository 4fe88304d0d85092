"""The page as a person meets it: one server for the file, Debian's browser, the smallest problem.

DYNTHEORY_EXPLORER_FIGURE names a file that the test of the docs' figure writes.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.tables.problem_file import load_problem, parse_problem
from tests import ROOT
from tests.shell.explorer.conftest import SMALL, small

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [name for name in ("panel", "playwright") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]
PATIENCE = 120.0  # seconds, for a machine that does other things as well
RTOL = 1e-6  # two processes may round differently
ALPHA = "Samples per feature α = n/d"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the command, yield the address that it prints, and end it as Ctrl-C does."""
    path = tmp_path_factory.mktemp("explore") / "problem.toml"
    path.write_text(SMALL, encoding="utf-8")
    code = "import sys; from dyntheory.shell.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "explore", str(path), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as server:
        timer = threading.Timer(PATIENCE, server.kill)
        timer.start()
        assert server.stdout is not None
        first = "".join(server.stdout.readline() for _ in range(2))
        timer.cancel()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S{20,}", first)
        if found is None:
            server.kill()
            pytest.fail(f"no address: {first!r} {server.communicate()}")
        yield found[0]
        server.send_signal(signal.SIGINT)
        printed, complaints = server.communicate(timeout=PATIENCE)
        assert server.returncode == 0, complaints
        assert "the page is closed" in printed
        assert "Traceback" not in complaints, complaints


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Yield a browser whose pages ask nobody but this machine, and throw no errors."""
    made = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    made.set_default_timeout(1000 * PATIENCE)
    asked: list[str] = []
    errors: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    made.on("weberror", lambda error: errors.append(str(error.error)))
    yield made
    made.close()
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))]
    assert asked and not outside
    assert not errors


def opened(context: Any, address: str) -> Any:
    """Open the page and wait for its most accurate curve."""
    page = context.new_page()
    page.goto(address)
    page.locator("#accuracy[data-level='2'][data-busy='false']").wait_for()
    return page


def number(page: Any, label: str) -> Any:
    return page.get_by_label(label, exact=True)


def shown(page: Any, side: str = "theory", metric: str = "test_error") -> list[float]:
    cells = page.locator(f"#numbers td[data-side='{side}'][data-metric='{metric}']").all()
    return [float(cell.get_attribute("data-value")) for cell in cells]


def wait_for_curve(page: Any, expected: np.ndarray) -> None:
    """Wait until the page shows a predicted test error."""
    for _ in range(int(10 * PATIENCE)):
        found = shown(page)
        if len(found) == len(expected) and np.allclose(found, expected, rtol=RTOL, atol=0):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the page shows {shown(page)}, predicted is {expected}")


def predicted(**law: Any) -> np.ndarray:
    table = small()
    table["law"].update(law)
    problem = parse_problem(table)
    curve = dt.predict(problem.law, problem.method, **problem.predict).test_error
    assert curve is not None
    return curve


def test_controls_move_the_predicted_curve_and_the_address_keeps_them(context: Any, address: str) -> None:
    page = opened(context, address)
    assert page.title() == "dyntheory: learning curves without training"
    wait_for_curve(page, predicted())
    slider = page.get_by_label(f"{ALPHA}, slider")
    slider.focus()
    slider.press("ArrowRight")
    moved = float(number(page, ALPHA).input_value())
    assert moved > 2
    wait_for_curve(page, predicted(samples_per_feature=moved))
    number(page, "Label noise σ").fill("0.5")
    expected = predicted(samples_per_feature=moved, noise_std=0.5)
    wait_for_curve(page, expected)
    page.wait_for_url("**noise_std=0.5**")
    page.reload()
    wait_for_curve(page, expected)
    assert number(page, "Label noise σ").input_value() == "0.5"
    page.get_by_role("button", name="Back to the start").click()
    wait_for_curve(page, predicted())


def test_bad_values_show_the_error_of_the_library_and_leave_the_curve(context: Any, address: str) -> None:
    page = opened(context, address)
    before = shown(page)
    for text, words in (("-1", "must be zero or positive, got -1.0"), ("abc", "must be a number, got 'abc'")):
        number(page, "Label noise σ").fill(text)
        page.get_by_role("alert").filter(has_text=words).wait_for()
        page.locator("#accuracy[data-stale='true']").wait_for()
        assert shown(page) == before
    number(page, "Label noise σ").fill("0.3")
    page.get_by_role("alert").wait_for(state="detached")
    page.locator("#accuracy[data-stale='false']").wait_for()


def test_a_damaged_address_shows_the_start_and_says_so(context: Any, address: str) -> None:
    page = opened(context, f"{address}&rest=%7B")
    page.get_by_role("alert").filter(has_text="`rest` in the address must be a table").wait_for()
    assert number(page, ALPHA).input_value() == "2.0"


def save(page: Any, label: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_text(label, exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_simulation_joins_the_curves_and_everything_can_be_saved(context: Any, address: str, tmp_path: Path) -> None:
    page = opened(context, address)
    page.get_by_role("button", name="Simulate").click()
    page.locator("#verdict[data-verdict]").wait_for()
    page.screenshot(path=tmp_path / "wide.png", full_page=True)
    theory = dt.load(save(page, "Theory, NetCDF", tmp_path))
    simulation = dt.load(save(page, "Simulation, NetCDF", tmp_path))
    np.testing.assert_allclose(theory.test_error, shown(page), rtol=RTOL)
    np.testing.assert_allclose(simulation.test_error, shown(page, "simulation"), rtol=RTOL)
    assert page.locator("#verdict").get_attribute("data-verdict") == dt.compare(theory, simulation).verdict
    saved = load_problem(save(page, "Problem, TOML", tmp_path))
    assert saved.table == parse_problem(small()).table
    lines = save(page, "Python lines", tmp_path).read_text(encoding="utf-8")
    assert "dt.simulate(" in lines and "token" not in lines
    assert save(page, "Figure, PNG", tmp_path).read_bytes().startswith(b"\x89PNG")
    number(page, ALPHA).fill("3")
    page.locator("#verdict").wait_for(state="detached")
    number(page, ALPHA).fill("2")
    page.locator("#verdict").wait_for()


def test_cancelling_a_simulation_leaves_the_curve_and_the_button(context: Any, address: str) -> None:
    page = opened(context, address)
    before = shown(page)
    number(page, "Runs").fill("1000000")
    page.wait_for_url("**num_runs=1000000**")
    page.get_by_role("button", name="Simulate").click()
    page.locator("#progress").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#progress").wait_for(state="detached")
    page.get_by_role("button", name="Simulate", disabled=False).wait_for()
    assert shown(page) == before
    assert page.get_by_role("alert").count() == 0


def test_japanese_on_a_narrow_screen_in_a_second_tab(context: Any, address: str, tmp_path: Path) -> None:
    first = opened(context, address)
    second = context.new_page()
    second.set_viewport_size({"width": 400, "height": 800})
    second.goto(f"{address}&language=ja&noise_std=0.5")
    second.get_by_role("alert").filter(has_text="この設定は計算できません").wait_for()
    second.goto(f"{address}&language=ja")
    wait_for_curve(second, predicted())
    assert second.title().endswith("学習曲線")
    assert second.evaluate("document.documentElement.lang") == "ja"
    number(second, "ラベルの雑音 σ").fill("0.4")
    number(first, "Label noise σ").fill("0.6")
    wait_for_curve(second, predicted(noise_std=0.4))
    wait_for_curve(first, predicted(noise_std=0.6))
    assert second.evaluate("document.documentElement.scrollWidth") <= 400
    second.screenshot(path=tmp_path / "narrow.png", full_page=True)
    number(second, "言語 / Language").select_option("en")
    second.get_by_role("button", name="Simulate").wait_for()


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong"])
def test_without_the_secret_there_is_a_refusal_and_no_more(context: Any, address: str, query: str) -> None:
    page = context.new_page()
    page.goto(address.split("?")[0] + query)
    page.get_by_text("needs the address that `dyntheory explore` printed").wait_for()
    assert page.locator("#controls, #accuracy, canvas").count() == 0


def test_another_site_may_not_open_the_websocket(address: str) -> None:
    import http.client

    host = address.split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers |= {"Sec-WebSocket-Key": "x" * 22 + "==", "Origin": "http://elsewhere.example"}
    connection.request("GET", "/ws", headers=headers)
    assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.full
def test_the_figure_of_the_docs(context: Any, address: str, tmp_path: Path) -> None:
    page = context.new_page()
    asked = "samples_per_feature=2.0&link=sin_mixture&noise_std=0.3&width=3&depth=2&activation=tanh&optimizer=sgd"
    page.goto(f"{address}&{asked}&learning_rate=0.3&num_steps=20&num_features=500&num_runs=10")
    page.locator("#accuracy[data-level='3'][data-busy='false']").wait_for()
    page.get_by_role("button", name="Simulate").click()
    page.locator("#verdict").wait_for()
    page.set_viewport_size({"width": 1280, "height": 1000})
    path = Path(os.environ.get("DYNTHEORY_EXPLORER_FIGURE", tmp_path / "explorer.png"))
    page.screenshot(path=path)
    assert path.read_bytes().startswith(b"\x89PNG")
