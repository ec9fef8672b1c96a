"""The report in headless Chromium: no errors, no requests, controls, themes, widths.

Run with `pytest -m browser`. It needs the extra `browser` (playwright) and a Chromium: that of the
system, or the one in RAMPART_CHROMIUM. With RAMPART_SCREENSHOTS=FOLDER it keeps pictures.
"""

import os
import shutil
from pathlib import Path

import pytest

from rampart.metrics.distributions import parse_distribution
from rampart.metrics.expectation import contributions
from rampart.reports.page.write import write_report
from report_folders import evaluation, record, run

pytestmark = pytest.mark.browser

DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra 'browser'")
    path = os.environ.get("RAMPART_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on the path: install one, or set RAMPART_CHROMIUM")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    one = run(folder / "one")
    other = evaluation(folder / "other", name="other", seed=1)
    return {"run": write_report([one]), "both": write_report([one, other], folder / "both.html")}


@pytest.fixture
def opened(browser, pages):
    """Open a page, with lists of its console messages and of its requests."""
    contexts = []

    def open_page(name="run", scheme="light", viewport=DESKTOP, script=True):
        context = browser.new_context(
            color_scheme=scheme, viewport=viewport, java_script_enabled=script
        )
        contexts.append(context)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[name].as_uri())
        if script:
            page.wait_for_selector("html.drawn", state="attached")
        return page, said, asked

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["run", "both"])
def test_a_page_opens_without_errors_and_fits(opened, pages, name, scheme, viewport):
    page, said, asked = opened(name, scheme, viewport)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.locator("figure.chart .live svg").count() > 0
    assert page.locator("figure.chart svg.still:visible").count() == 0
    if folder := os.environ.get("RAMPART_SCREENSHOTS"):
        kept = Path(folder) / f"{name}-{scheme}-{viewport['width']}.png"
        page.screenshot(path=kept, full_page=True)


def test_the_bars_of_the_classes_and_their_figures_share_a_line(opened):
    page, _, _ = opened()
    lines = page.locator("td.bar > span:not(.meter)").evaluate_all(
        "all => all.map(one => one.getClientRects().length)"
    )
    assert lines
    assert set(lines) == {1}


def test_without_scripts_the_page_is_whole(opened):
    page, said, _ = opened(script=False)
    assert said == []
    assert page.locator("figure.chart svg.still:visible").count() == 2
    assert page.locator("button:visible, form:visible, .legend input:visible").count() == 0
    assert page.locator("table").count() > 4


@pytest.mark.parametrize(
    ("law", "distribution"),
    [("uniform", "uniform"), ("weak", "beta:a=2,b=5"), ("strong", "beta:a=5,b=2")],
)
def test_the_chosen_distribution_gives_the_librarys_figure(opened, law, distribution):
    page, said, _ = opened()
    page.select_option("#law", law)
    one = record(name="net")
    values = contributions(one.critical, one.grid, parse_distribution(distribution, one.eps))
    ends = one.expected_interval(values)
    shown = page.locator("#expected")
    assert float(shown.get_attribute("data-value")) == pytest.approx(values.mean(), abs=1e-9)
    assert shown.inner_text() == f"{100 * values.mean():.1f} %"
    interval = page.locator("#expected-interval").inner_text()
    assert interval == f"[{100 * ends.low:.1f}, {100 * ends.high:.1f}]"
    assert said == []


def test_sliders_change_the_distribution_by_the_keyboard(opened):
    page, said, _ = opened()
    before = page.locator("#expected").inner_text()
    page.locator("#high").focus()
    page.keyboard.press("Home")
    assert page.locator("#expected").inner_text() != before
    page.select_option("#law", "point")
    page.locator("#eps").focus()
    page.keyboard.press("Home")
    one = record(name="net")
    assert page.locator("#expected").inner_text() == f"{100 * one.accuracy[0]:.1f} %"
    page.select_option("#law", "beta")
    assert page.locator("#a").is_visible()
    assert page.locator("#weights-hint").is_visible()
    assert said == []


def test_lines_can_be_hidden_and_shown(opened):
    page, said, _ = opened()
    figure = page.locator('figure[data-chart="curve"]')
    lines = figure.locator(".live path[stroke-width='2.2']")
    assert lines.count() == 1
    assert lines.first.get_attribute("d")
    figure.get_by_label("accuracy", exact=True).uncheck()
    page.wait_for_function(
        "() => { const p = document.querySelector(\"figure[data-chart='curve'] .live "
        "path[stroke-width='2.2']\"); return !p || !p.getAttribute('d'); }"
    )
    assert said == []


def test_the_button_changes_the_colors_of_page_and_charts(opened):
    page, said, _ = opened()
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.live svg text')).fill"
    before = page.evaluate(ground), page.evaluate(ink)
    page.get_by_role("button", name="Dark colors").press("Enter")
    page.get_by_role("button", name="Light colors").wait_for()
    page.wait_for_function(f"() => {ink} !== '{before[1]}'")
    assert page.evaluate(ground) != before[0]
    assert said == []


def test_hovering_a_point_shows_its_values(opened):
    page, said, _ = opened()
    page.locator('figure[data-chart="curve"] .live').scroll_into_view_if_needed()
    box = page.locator('figure[data-chart="curve"] .live svg').bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tooltip:not([hidden])")
    text = page.locator("#tooltip").inner_text()
    assert "/255" in text
    assert "%" in text
    assert said == []
