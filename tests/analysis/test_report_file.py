"""The report: one file, complete, offline, careful with what the folder holds."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from analysis.gallery import THUMBNAIL, WIDEST, embed, gallery_path
from analysis.records import load_study
from analysis.report import build_report, write_report
from analysis.summary import summarise

MakeStudy = Callable[..., Path]


class Page(HTMLParser):
    """Collects what a browser would load, the ids, and the JSON blocks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.json: dict[str, Any] = {}
        self.text = ""
        self._block: str | None = None
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._tag = tag
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "poster", "action")]
        if tag == "link":
            self.loads.append(found.get("href") or "")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "img":
            self.images.append(found)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self._block = found.get("id") if tag == "script" and found.get("type") == "application/json" else None

    def handle_endtag(self, tag: str) -> None:
        self._block, self._tag = None, ""

    def handle_data(self, data: str) -> None:
        if self._block:
            self.json[self._block] = json.loads(data)
        elif self._tag not in ("script", "style"):
            self.text += data


def build(folder: Path) -> tuple[str, Page]:
    html = build_report(load_study(folder)).html
    return html, Page(html.replace(get_plotlyjs(), ""))  # Half of a report's megabytes, and no markup.


@pytest.fixture(scope="module")
def whole(whole_study: Path) -> tuple[str, Page]:
    """Return the page of the default study."""
    return build(whole_study)


def test_the_report_loads_nothing_from_outside(whole: tuple[str, Page]) -> None:
    html, page = whole
    assert all(load.startswith("data:image/") for load in page.loads)
    assert all(link.startswith("#") for link in page.links)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "default-src 'none'" in html  # The browser is told to refuse what a library might still ask for.
    assert html.count("* plotly.js v") == 1


def test_every_figure_has_its_place_and_titled_axes(whole: tuple[str, Page]) -> None:
    _, page = whole
    figures = page.json["figures"]
    strata = {"front-strata-strong_identity_accuracy", "front-strata-steganalysis_auc"}
    course = {"progress", "hypervolume", "outcomes"}
    others = {"front-joint", "front-families", "margins", "parallel", "importance"}
    assert set(figures) == others | course | strata
    assert all(f"plot-{name}" in page.ids for name in figures)
    for name in ("front-joint", "margins", "progress"):
        layout = figures[name]["layout"]
        titles = [layout[axis].get("title", {}).get("text", "") for axis in layout if axis.startswith("xaxis")]
        assert all("[" in title for title in titles)
    for name in ("front-joint", "progress"):
        assert "<i>higher is better</i>" in figures[name]["layout"]["yaxis"]["title"]["text"]


def test_every_measured_trial_is_a_point_that_opens_its_panel(whole: tuple[str, Page]) -> None:
    _, page = whole
    data, figures = page.json["study-data"], page.json["figures"]
    assert sorted(data["trials"]) == list(range(24))
    assert data["trials"][0] == 12
    points = {t for trace in figures["front-joint"]["data"] for t in trace.get("customdata", ())}
    assert points == set(range(24)) - {9}
    lines = {t for trace in figures["parallel"]["data"] for t in trace.get("customdata", ()) if t is not None}
    assert lines == points
    margins = [t for trace in figures["margins"]["data"] for t in trace.get("customdata", ())]
    assert sorted(margins) == sorted(list(range(24)) * 3)


def test_feasible_points_differ_from_infeasible_ones_in_colour_and_in_shape(whole: tuple[str, Page]) -> None:
    _, page = whole
    looks: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    for trace in page.json["figures"]["front-joint"]["data"]:
        if trace.get("customdata"):
            looks[trace["name"].endswith(", feasible")].add((trace["marker"]["symbol"], trace["marker"]["color"]))
    assert not {symbol for symbol, _ in looks[True]} & {symbol for symbol, _ in looks[False]}
    assert not {colour for _, colour in looks[True]} & {colour for _, colour in looks[False]}


def test_the_panel_holds_configuration_checks_and_bounds(whole: tuple[str, Page]) -> None:
    _, page = whole
    data = page.json["study-data"]
    place = data["trials"].index(4)
    assert {item["name"]: item["value"] for item in data["parameters"]}["subversion.family"][place] == "keyed"
    strong = next(item for item in data["checks"] if item["label"] == "Strong identity")
    members = {data["metrics"][item["metric"]]["name"]: item for item in strong["members"]}
    assert members["high pass"]["at"] == pytest.approx(0.42)  # The same in all trials, so it is kept once.
    assert data["metrics"][members["bit plane"]["metric"]]["votes"][place] is False
    assert data["errors"]["9"].startswith("FloatingPointError")


def test_text_of_the_study_can_neither_run_nor_break_the_page(make_study: MakeStudy) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"

    def poison(rows: list[dict]) -> list[dict]:
        return [row | {"error": evil, "outcome": evil, "param.stage_one.critic": evil} for row in rows]

    folder = make_study(trials=4, change_rows=poison, metadata={"study": evil})
    (folder / "config.yaml").write_text(evil)
    html, page = build(folder)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert page.json["study-data"]["errors"]["0"] == evil


def test_thumbnails_are_embedded_and_missing_galleries_are_named(make_study: MakeStudy) -> None:
    folder = make_study(trials=4, crashed=(), galleries=(0, 1, 2))
    gallery_path(folder, 1).write_bytes(b"no picture")
    report = build_report(load_study(folder))
    data = Page(report.html).json["study-data"]
    assert set(data["thumbnails"]) == {"0", "2"}
    assert data["thumbnails"]["0"]["width"] == THUMBNAIL
    assert len(data["thumbnails"]["0"]["uri"]) < 10_000
    assert any("no gallery for trial 3:" in warning for warning in report.warnings)
    assert any("gallery of trial 1 cannot be read" in warning for warning in report.warnings)


def test_large_galleries_are_scaled_down(tmp_path: Path) -> None:
    Image.effect_noise((3000, 600), 80).save(tmp_path / "wide.png")
    gallery = embed(tmp_path / "wide.png")
    assert (gallery.width, gallery.height) == (WIDEST, 144)
    assert gallery.uri.startswith("data:image/webp;base64,")


def test_pictures_have_words_for_those_who_cannot_see_them(whole: tuple[str, Page]) -> None:
    html, page = whole
    assert page.images
    assert all(image["alt"] for image in page.images)
    assert len(re.findall(r'class="plot"[^>]*role="img" aria-label="[^"]{30,}"', html)) == 13


def test_the_same_records_give_the_same_bytes(make_study: MakeStudy) -> None:
    folder = make_study(trials=3, galleries=(0,))
    assert build_report(load_study(folder)).html == build_report(load_study(folder)).html


def test_the_headline_says_what_was_found_and_which_checks_stopped_the_rest(whole_study: Path) -> None:
    summary = summarise(load_study(whole_study))
    assert "trial 12 (keyed, image)" in summary.lead
    assert "0.290 for the mean training face" in summary.lead
    text = " ".join(summary.details)
    assert "24 trials finished; 10 (42 %) are within every bound by estimate" in text
    assert "Trials stopped, by check: Steganalysis" in text
    assert "Had nobody checked" in text
    assert any("No vote: Strong identity accuracy · bit plane" in alert.title for alert in summary.alerts)


def test_a_best_trial_no_better_than_a_guess_is_no_success(make_study: MakeStudy) -> None:
    def poor(rows: list[dict]) -> list[dict]:
        names = ("objective.reconstruction_ssim", "metric.reconstruction_ssim")
        limits = {"metric.reconstruction_ssim.low": 0.25, "metric.reconstruction_ssim.high": 0.33}
        return [row | dict.fromkeys(names, 0.292) | limits for row in rows]

    assert summarise(load_study(make_study(change_rows=poor))).lead.startswith(
        "Nothing within the bounds beats a guess"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"trials": 1},
        {"trials": 3, "crashed": (0, 1, 2)},
        {"trials": 5, "finished": False},
        {"trials": 4, "metadata": {"constraints": {}, "strata": []}},
        {"trials": 4, "metadata": {"parameters": {}}},
        {"change_rows": lambda rows: [row for row in rows if not row["feasible"]]},
    ],
    ids=["one trial", "all crashed", "running", "no checks and no strata", "unknown parameters", "none feasible"],
)
def test_unusual_studies_have_a_report_too(make_study: MakeStudy, options: dict[str, Any]) -> None:
    _, page = build(make_study(**options))
    assert "finding" in page.ids
    assert "setting" in page.ids


def test_a_study_with_one_objective_has_no_front_and_says_so(make_study: MakeStudy) -> None:
    only = {"quality": {"direction": "maximise", "label": "Quality", "unit": "1", "searched": True}}

    def rename(rows: list[dict]) -> list[dict]:
        return [row | {"objective.quality": row["objective.reconstruction_ssim"]} for row in rows]

    _, page = build(make_study(trials=4, change_rows=rename, metadata={"objectives": only}))
    assert "no front to draw" in page.text


def test_the_report_is_written_where_asked(make_study: MakeStudy, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "down" / "report.html"
    write_report(load_study(make_study(trials=2)), output)
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
