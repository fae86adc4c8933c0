"""The report in a real browser, where there is one: it draws without errors, answers clicks, filters and brushes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.compare import compare
from analysis.compare_page import write_comparison
from analysis.pareto import nondominated
from analysis.records import load_study
from analysis.report import write_report
from tests.analysis.browser import BROWSER, MISSING, attribute, open_page, panel_of, with_script

CLICK = """
  const place = document.getElementById("plot-explorer");
  place.scrollIntoView({ block: "center", behavior: "instant" });
  const trace = place._fullData.find((item) => item.customdata && item.customdata.includes(21));
  const point = trace.customdata.indexOf(21), box = place.getBoundingClientRect(), layout = place._fullLayout;
  const clientX = box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[point]);
  const clientY = box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[point]);
  const fire = (type) => document.elementFromPoint(clientX, clientY)
    .dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX, clientY }));
  fire("mouseover"); fire("mousemove");
  setTimeout(() => { fire("mousedown"); fire("mouseup"); fire("click"); }, 300);
"""
FILTER = """
  document.body.dataset.before = document.getElementById("plot-explorer").dataset.front;
  const box = document.querySelector('[data-stratum="subversion.secret"][data-value="image"]');
  box.click();
  document.body.dataset.filtered = document.getElementById("plot-explorer").dataset.front;
  box.click();
  const axis = document.getElementById("explorer-x");
  axis.value = "objective2";
  axis.dispatchEvent(new Event("change"));
  document.body.dataset.switched = document.getElementById("plot-explorer").dataset.front;
  const points = [{ customdata: 12 }, { customdata: 6 }];
  document.getElementById("plot-parallel").emit("plotly_selected", { points, range: { x: [2.9, 3.1] } });
"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason=MISSING)]


@pytest.fixture(scope="module")
def report(whole_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report beside the galleries of two trials of its study."""
    folder = tmp_path_factory.mktemp("browser") / "study"
    shutil.copytree(whole_study, folder)
    shutil.copytree(folder / "artifacts" / "12", folder / "artifacts" / "21")
    write_report(load_study(folder), folder / "report.html")
    return folder / "report.html"


def test_a_click_on_a_point_shows_that_point_s_faces_and_configuration(report: Path, tmp_path: Path) -> None:
    page = report.with_name("click.html")
    shutil.copy(report, page)
    with_script(page, CLICK)
    shown, console = open_page(page.as_uri(), tmp_path / "profile")
    assert console == ""
    panel = panel_of(shown)
    assert "<h2>Trial 21</h2>" in panel
    assert 'src="artifacts/21/gallery.png"' in panel
    assert "as this file holds them" not in panel  # It was found and loaded.
    assert "subversion.learned.identity_weight" in panel
    assert "verdict: violation" in panel
    assert "probability of being within" in panel


def test_filters_axes_and_brushes_change_front_lines_and_table(report: Path, tmp_path: Path) -> None:
    page = report.with_name("filter.html")
    shutil.copy(report, page)
    with_script(page, FILTER)
    shown, console = open_page(page.as_uri(), tmp_path / "profile")
    assert console == ""
    study = load_study(report.parent)
    leak, auc = study.objectives["strong_identity_accuracy"], study.objectives["steganalysis_auc"]
    ssim = study.objectives["reconstruction_ssim"]
    secret = np.asarray(study.parameters["subversion.secret"])

    def front(x: np.ndarray, eligible: np.ndarray) -> str:
        pairs = np.where((study.feasible & eligible)[:, None], np.stack([x, ssim], axis=1), np.nan)
        return " ".join(str(trial) for trial in study.trial[nondominated(pairs, (False, True))])

    body = re.search(r"<body[^>]*>", shown)
    assert body is not None
    everyone = np.ones(len(study), dtype=bool)
    assert f'data-before="{front(leak, everyone)}"' in body[0]
    assert f'data-filtered="{front(leak, secret == "identity")}"' in body[0]
    assert f'data-switched="{front(auc, everyone)}"' in body[0]
    assert front(leak, everyone) != front(leak, secret == "identity")
    table = re.search(r'<table id="trials-table".*?</table>', shown, re.DOTALL)
    assert table is not None
    assert re.findall(r'<button[^>]*data-trial="(\d+)"', table[0]) == ["12", "6"]
    assert "subversion.strength: 2 trials" in shown  # The brush can be taken away where the numbers are.
    assert "objective2" in attribute(shown, "plot-explorer", "data-axes")


def test_a_report_far_from_its_study_shows_thumbnails_and_says_so(report: Path, tmp_path: Path) -> None:
    page = tmp_path / "elsewhere" / "report.html"
    page.parent.mkdir()
    shutil.copy(report, page)
    shown, console = open_page(f"{page.as_uri()}#trial=21", tmp_path / "profile")
    assert [line for line in console.splitlines() if "ERR_FILE_NOT_FOUND" not in line] == []
    panel = panel_of(shown)
    assert 'src="data:image/webp;base64,' in panel
    assert "the whole gallery was not found at artifacts/21/gallery.png" in panel
    assert shown.count('class="main-svg"') >= 10


def test_a_comparison_draws_its_figures(make_study: Callable[..., Path], tmp_path: Path) -> None:
    studies = tuple(load_study(make_study(name, trials=8, seed=seed)) for seed, name in enumerate(("one", "two")))
    page = tmp_path / "compare.html"
    write_comparison(compare(studies), page)
    shown, console = open_page(page.as_uri(), tmp_path / "profile", milliseconds=4000)
    assert console == ""
    assert shown.count('class="main-svg"') >= 5
