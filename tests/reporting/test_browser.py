"""The page in a real browser: Chromium without a screen; skipped where there is none."""

import shutil
from itertools import pairwise

import pytest

from m3hl.reporting.page import gather, render
from m3hl.reporting.study import load_study
from tests.reporting.conftest import write_phantoms, write_run
from tests.reporting.table1_study import table1_config, write_table1

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 400, "height": 800}
BOXES = "elements => elements.map(e => e.getBoundingClientRect()).map(b => [b.width, b.height])"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(whole, tiny_config, tmp_path_factory):
    """Return the page of a study in which every run has ended."""
    return write(tmp_path_factory.mktemp("page"), tiny_config, whole)


@pytest.fixture
def open_page(browser):
    """Return the function that opens a page; in the end its console and the network are silent."""
    heard, contexts = [], []

    def open_page(file, viewport=WIDE, scheme="light"):
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url) if asks(request.url, file) else None)
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def asks(url, file):
    return not url.startswith(("data:", "blob:", file.as_uri()))


def write(folder, config, results):
    study = load_study(config, results)
    (folder / "report.html").write_text(render(study, gather(study)), encoding="utf-8")
    return folder / "report.html"


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_and_nothing_sticks_out(file, open_page, viewport, scheme):
    page = open_page(file, viewport, scheme)
    boxes = page.eval_on_selector_all("figure svg[role=img], img", BOXES)
    assert len(boxes) > 10
    assert all(width > 20 and height > 20 for width, height in boxes)
    assert page.eval_on_selector_all("img", "images => images.every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_the_convention_can_be_switched(file, open_page):
    page = open_page(file)
    cell = page.locator("#results tbody td.number").nth(3)
    before = cell.inner_text()
    page.get_by_text("is left out of distances").click()
    assert page.locator("#results .failures").first.is_visible()
    assert not page.locator("#results .published").first.is_visible()
    page.get_by_text("counts as distance 0").click()
    assert cell.inner_text() == before


@pytest.mark.parametrize(("scheme", "theme"), [("light", "dark"), ("dark", "light")])
def test_the_theme_follows_the_system_until_it_is_chosen(file, open_page, scheme, theme):
    page = open_page(file, WIDE, scheme)
    assert (brightness(page) > 128) == (scheme == "light")
    page.locator(f"label[for=theme-{theme}]").click()
    assert (brightness(page) > 128) == (theme == "light")


def brightness(page):
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(", "))) / 3


def test_text_has_contrast_in_both_themes(file, open_page):
    """WCAG 2.1, 1.4.3: at least 4.5 between the colours of text and ground."""
    for scheme in ("light", "dark"):
        page = open_page(file, WIDE, scheme)
        for variable in ("--ink", "--muted", "--accent", "--warn"):
            assert contrast(color(page, variable), color(page, "--paper")) >= 4.5, (scheme, variable)


def color(page, variable):
    script = f"""() => {{
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = "var({variable})";
        const found = getComputedStyle(probe).color;
        probe.remove();
        return found;
    }}"""
    return [int(part) for part in page.evaluate(script).removeprefix("rgb(").removesuffix(")").split(", ")]


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_study_with_holes_opens_as_well(results, make_config, tmp_path, open_page):
    shutil.rmtree(results / "runs" / "hearts" / "m3hl")
    (results / "data" / "atria.h5").unlink()
    page = open_page(write(tmp_path, make_config(), results))
    assert page.get_by_text("not yet").first.is_visible()
    assert page.locator("section").count() >= 7


def test_the_keyboard_reaches_the_tables(file, open_page):
    page = open_page(file)
    focused = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.getAttribute('aria-label') || ''"))
    assert any("Results on hearts" in label for label in focused)


def test_the_command_of_a_run_can_be_copied(file, open_page):
    page = open_page(file)
    command = page.locator("#provenance details.command").first
    command.locator("summary").click()
    assert (
        command.locator("code")
        .inner_text()
        .startswith("snakemake --cores all --configfile results/tiny/study.json")
    )
    command.locator("button").click()
    page.wait_for_function("e => e.textContent != 'copy'", arg=command.locator("button").element_handle())
    assert page.evaluate("getSelection().toString()") == command.locator("code").inner_text()


def test_cases_are_sorted_by_click_and_by_key(file, open_page):
    page = open_page(file)
    table = page.locator("#cases table.sortable").first
    first = table.locator("th[aria-sort]")
    assert first.get_attribute("aria-sort") == "ascending"
    column = first.evaluate("head => head.cellIndex")
    worst_first = numbers(table, column)
    assert worst_first == sorted(worst_first)
    first.locator("button").click()
    assert numbers(table, column) == worst_first[::-1]
    table.locator("thead tr:last-child button").first.focus()
    page.keyboard.press("Enter")
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)


def numbers(table, column):
    script = "(rows, n) => rows.map(row => parseFloat(row.cells[n].innerText.replace('\u2212', '-')))"
    return table.locator("tbody tr").evaluate_all(script, column)


def test_the_slider_turns_the_slices_over(file, open_page):
    page = open_page(file)
    viewer = page.locator(".viewer").first
    picture, label = viewer.locator("image"), viewer.locator("p label")
    slider, before = viewer.locator("[type=range]"), (picture.get_attribute("href"), label.inner_text())
    slider.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert slider.input_value() == str(int(slider.get_attribute("max")) - 1)
    assert (picture.get_attribute("href"), label.inner_text()) != before
    drawn = viewer.locator("svg path[d^=M]").count()
    viewer.locator("[type=checkbox]").first.uncheck()
    assert viewer.locator("svg path[d^=M]").count() < drawn
    name = viewer.locator("p span").inner_text()
    viewer.get_by_text("worst").click()
    assert viewer.locator("p span").inner_text() != name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keys_of_pictures_have_the_colours_of_their_outlines(file, open_page, scheme):
    """Pictures are dark in both themes."""
    page = open_page(file, WIDE, scheme)
    script = "elements => elements.map(e => getComputedStyle(e).stroke)"
    outlines = page.locator(".viewer").first.locator(".slice path:not(.casing)").evaluate_all(script)
    for keys in (page.locator("#examples .legend").first, page.locator(".viewer .toggles").first):
        assert keys.locator(".swatch path").evaluate_all(script) == outlines


@pytest.fixture(scope="module")
def table1_file(tmp_path_factory):
    """Return the page of Table 1 with one seed, few cases, curves and pictures."""
    folder, config = tmp_path_factory.mktemp("table1"), table1_config(seeds=(1,))
    for name, dataset in config.datasets.items():
        write_phantoms(folder / "data" / f"{name}.h5", dataset, 3)
    write_table1(folder, config, write_run, cases=3)
    return write(folder, config, folder)


def shown(page, section, selector):
    """Return how many elements of a section can be seen."""
    script = "elements => elements.filter(e => e.getBoundingClientRect().width > 0).length"
    return page.eval_on_selector_all(f"#{section} {selector}", script)


def test_the_reader_chooses_methods_by_key_in_all_sections_at_once(table1_file, open_page):
    page = open_page(table1_file)
    assert page.locator("#curves .chooser :checked").count() == 2
    labels = page.locator("#curves figure .label").all_inner_texts()
    assert shown(page, "curves", "figure .label") < len(labels)
    before = {section: shown(page, section, "[class*=of-]") for section in ("curves", "cases", "examples")}
    page.locator("#curves .chooser input:not(:checked)").first.focus()
    page.keyboard.press("Space")
    for section, count in before.items():
        assert page.locator(f"#{section} .chooser :checked").count() == 3
        assert shown(page, section, "[class*=of-]") > count
    page.locator("#cases .chooser button", has_text="all").click()
    assert page.locator("#examples .chooser :checked").count() == page.locator("#examples .chooser input").count()
    assert page.locator("#examples .viewer .toggles :checked").count() > 2


def test_labels_of_curves_lie_apart_whichever_are_shown(table1_file, open_page):
    page = open_page(table1_file)
    for choice in ("none", "all"):
        page.locator("#curves .chooser button", has_text=choice).click()
        if choice == "none":
            page.locator("#curves .chooser input").first.check()
            page.locator("#curves .chooser input").last.check()
        for plot in page.locator("#curves .plot:has(.leader)").all():
            boxes = plot.locator(".label").evaluate_all(BOXES.replace("[b.width, b.height]", "[b.width, b.y]"))
            heights = sorted(y for width, y in boxes if width > 0)
            assert all(other - one > 8 for one, other in pairwise(heights))
            assert choice == "all" or len(heights) < 2 or heights[-1] - heights[0] < 100


def test_table_1_is_sorted_by_either_rank_and_back_to_print_order(table1_file, open_page):
    page = open_page(table1_file)
    table = page.locator("#results table.pairs").first
    printed = table.locator("tbody th").all_inner_texts()
    for column in (4, 5):
        table.locator("thead tr:last-child button").nth(column).click()
        ranks = [rank for rank in numbers(table, column) if rank == rank]
        assert ranks == sorted(ranks)
        assert table.locator("tbody th").all_inner_texts() != printed
    table.locator("thead tr:last-child button").nth(1).click()
    assert table.locator("tbody th").all_inner_texts() == printed


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_twelve_methods_fit_a_phone(table1_file, open_page, scheme):
    page = open_page(table1_file, PHONE, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#cases .matrix").is_visible()
    assert all(width > 20 and height > 20 for width, height in page.eval_on_selector_all("#cost svg", BOXES))


def test_four_curves_are_two_rows_of_two(file, open_page):
    page = open_page(file)
    places = "figures => figures.map(f => f.getBoundingClientRect()).map(b => Math.round(b.y))"
    rows = page.eval_on_selector_all("#curves article:first-of-type .panels figure", places)
    assert len(rows) == 4
    assert rows[0] == rows[1] < rows[2] == rows[3]
