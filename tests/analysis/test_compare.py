"""Studies side by side: one range for all, intervals, what differs, and what cannot be compared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import FAILED, main
from analysis.compare import compare, differing_settings, wilson
from analysis.compare_page import build_page
from analysis.errors import AnalysisError
from analysis.records import Study, load_study

MakeStudy = Callable[..., Path]
OTHER = {"utility": {"direction": "maximise", "label": "Utility", "unit": "1", "searched": True}}


def better(rows: list[dict]) -> list[dict]:
    name = "objective.reconstruction_ssim"
    return [row | {name: row[name] + 0.1, "metric.reconstruction_ssim": row[name] + 0.1} for row in rows]


@pytest.fixture
def pair(make_study: MakeStudy) -> tuple[Study, Study]:
    """Return two studies of one kind, the second with the better reconstructions."""
    one, two = make_study("one"), make_study("two", trials=30, change_rows=better)
    (two / "config.yaml").write_text("study:\n  name: other\nbudget:\n  trials: 30\noutput: elsewhere\n")
    return load_study(one), load_study(two)


def test_hypervolumes_are_shares_of_one_range(pair: tuple[Study, Study]) -> None:
    found = compare(pair)
    one, two = found.studies
    values = np.concatenate([study.objectives["reconstruction_ssim"] for study in pair])
    assert found.box.best[0] == pytest.approx(np.nanmax(values))
    assert found.box.worst[0] == pytest.approx(np.nanmin(values))
    assert two.curve.volume[-1] > one.curve.volume[-1]
    alone = compare((pair[0], load_study(pair[0].folder.rename(pair[0].folder.with_name("again")))))
    assert alone.studies[0].curve.volume[-1] != pytest.approx(one.curve.volume[-1])


def test_best_values_shares_and_volumes_have_their_intervals(pair: tuple[Study, Study]) -> None:
    for item in compare(pair).studies:
        assert (item.best_low <= item.best_value).all()
        assert (item.best_value <= item.best_high + 0.2).all()
        share = item.feasible / len(item.study)
        assert item.feasible_low < share < item.feasible_high
        assert item.volume_low <= item.curve.volume[-1] <= item.volume_high
        feasible = item.study.objectives["steganalysis_auc"][item.study.feasible]
        assert item.best_value[2] == pytest.approx(np.nanmin(feasible))


def test_wilson_s_interval_in_closed_form() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_settings_that_differ_are_named_and_incidental_ones_are_not(pair: tuple[Study, Study]) -> None:
    found = dict(differing_settings(pair))
    assert found == {"study.name": ("keyed-or-learned", "other"), "budget.trials": ("24", "30")}


def test_a_configuration_that_aliases_make_endless_is_cut_off(pair: tuple[Study, Study]) -> None:
    levels = "\n".join(f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}" for n in range(1, 12))
    (pair[0].folder / "config.yaml").write_text(f"a0: &a0 {{x: 1}}\n{levels}\n")
    assert len(differing_settings((load_study(pair[0].folder), pair[1]))) < 25_000


def test_studies_without_a_common_objective_are_refused_with_what_each_has(make_study: MakeStudy) -> None:
    def rename(rows: list[dict]) -> list[dict]:
        return [row | {"objective.utility": 0.5} for row in rows]

    one = load_study(make_study("one", trials=3))
    two = load_study(make_study("two", trials=3, change_rows=rename, metadata={"objectives": OTHER}))
    with pytest.raises(AnalysisError, match=r"no objective in common") as caught:
        compare((one, two))
    assert "one: reconstruction_ssim (maximise), strong_identity_accuracy (minimise)" in str(caught.value)
    assert "two: utility (maximise)" in str(caught.value)


def test_objectives_that_only_some_have_are_left_out_and_named(make_study: MakeStudy) -> None:
    shared = {"reconstruction_ssim": {"direction": "maximise", "label": "Quality", "unit": "1", "searched": True}}
    one, two = load_study(make_study("one")), load_study(make_study("two", metadata={"objectives": shared}))
    found = compare((one, two))
    assert [item.name for item in found.objectives] == ["reconstruction_ssim"]
    assert found.left_out == ("strong_identity_accuracy", "steganalysis_auc")
    assert "only some of the studies have them" in build_page(found)


def test_the_page_is_one_file_that_loads_nothing_and_says_what_differs(pair: tuple[Study, Study]) -> None:
    html = build_page(compare(pair))
    assert "budget.trials" in html
    assert "src=" not in html.replace("script-src", "").replace("img-src", "").partition("plotly.js v")[0]
    for name in ("best", "fronts", "hypervolume", "outcomes", "seconds"):
        assert f'id="plot-{name}"' in html


def test_different_bounds_are_pointed_out(make_study: MakeStudy) -> None:
    looser = {
        "steganalysis": {"bound": "steganalysis_auc <= 0.9", "metric": "steganalysis_auc", "sense": "<=", "scale": 0.05}
    }
    two = make_study("two", trials=4, metadata={"constraints": looser})
    assert "feasible does not mean the same" in build_page(
        compare((load_study(make_study("one", trials=4)), load_study(two)))
    )


def test_the_command_writes_where_asked_and_refuses_a_single_study(
    make_study: MakeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, output = make_study("one", trials=3), make_study("two", trials=3, seed=1), tmp_path / "out" / "both.html"
    assert main(["compare", str(one), str(two), "--output", str(output)]) == 0
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    for folders, message in (
        ([one], "two studies or more"),
        ([one, one], "more than once"),
        ([one, tmp_path], "no study"),
    ):
        assert main(["compare", *map(str, folders), "--output", str(output)]) == FAILED
        assert message in capsys.readouterr().err
