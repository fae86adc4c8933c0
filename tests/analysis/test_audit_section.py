"""The report shows an audit beside the search, apart from it, and says so where one is unfinished or damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analysis.audit import audit_sections, read_audit
from analysis.records import load_study
from analysis.report import build_report

MakeStudy = Callable[..., Path]


def comparison(trial: int, kind: str, name: str, search: float, audit: float) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial, "kind": kind, "name": name}
    for part, value in (("search", search), ("audit", audit), ("loss", audit - search)):
        row |= {part: value, f"{part}_low": value - 0.1, f"{part}_high": value + 0.1}
    return row


def write_audit(folder: Path, **changes: Any) -> None:
    own = folder / "audit"
    own.mkdir()
    rows = [
        comparison(12, "margin", "steganalysis", -0.4, 0.3),
        comparison(12, "objective", "reconstruction_ssim", 1, 2),
    ]
    pq.write_table(pa.Table.from_pylist(rows), own / "optimism.parquet")
    one = {"trial": 12, "search_feasible": True, "audit_feasible": False, "audit_feasible_by_all_checks": False}
    document = {
        "settings": {"checks": {"name": "thorough<b>"}},
        "seeds": 3,
        "held_out": ["strong_identity_accuracy.linear_dct"],
        "short_list": [one | {"seeds": 3, "seeds_feasible": 1, "beyond": ["steganalysis"]}],
        "feasible_in_search": 1,
        "of_them_not_in_audit": 1,
        "of_them_not_by_the_whole_battery": 1,
        "optimism": [
            {"kind": "margin", "name": "steganalysis", "configurations": 1, "value": 0.7, "low": 0.5, "high": 0.9},
            {"kind": "objective", "name": "ssim", "configurations": 0, "value": float("nan"), "low": 0.0, "high": 0.0},
        ],
    }
    document |= changes
    (own / "audit.yaml").write_text(yaml.safe_dump({key: item for key, item in document.items() if item is not None}))


def test_the_report_shows_search_and_audit_apart(make_study: MakeStudy) -> None:
    folder = make_study()
    assert audit_sections(load_study(folder)) == ()
    assert 'id="audit"' not in build_report(load_study(folder)).html
    write_audit(folder)
    (section,) = audit_sections(load_study(folder))
    assert "Of 1 that the search took for feasible, 1 is not by the study's own checks" in section.html.replace(
        "&#x27;", "'"
    )
    assert "thorough&lt;b&gt;" in section.html
    assert "Held out from the search" in section.html
    assert "1 of 3" in section.html
    assert "0.700" in section.html
    assert "not measured" in section.html
    searched, audited = section.figures["audit-margins"].data
    assert (list(searched.x), list(audited.x)) == ([-0.4], [0.3])
    assert audited.error_x.array[0] > 0
    page = build_report(load_study(folder)).html
    assert 'id="audit"' in page
    assert 'data-figure="audit-margins"' in page


def test_configurations_without_a_result_are_left_out_and_named(make_study: MakeStudy) -> None:
    folder = make_study()
    one = {"trial": 7, "search_feasible": True, "audit_feasible": False, "audit_feasible_by_all_checks": False}
    lost = one | {"seeds": 2, "seeds_feasible": 1, "beyond": [], "without_result": {1: "out_of_memory"}}
    write_audit(folder, short_list=[lost], feasible_in_search=0, of_them_not_in_audit=0)
    (section,) = audit_sections(load_study(folder))
    assert "Left out of these counts and of the losses: 1 configuration" in section.html
    assert "trial 7 (seed 1 out of memory)" in section.html
    assert section.html.count("no result</span>") == 2


def test_an_unfinished_or_damaged_audit_is_said_and_no_more(make_study: MakeStudy) -> None:
    unfinished = make_study("unfinished")
    write_audit(unfinished, optimism=None)
    assert "has begun and not ended" in read_audit(unfinished)[1]
    damaged = make_study("damaged")
    write_audit(damaged, short_list=None)
    (section,) = audit_sections(load_study(damaged))
    assert "cannot be read and was left out" in section.html
    torn = make_study("torn")
    write_audit(torn)
    (torn / "audit" / "optimism.parquet").write_bytes(b"PAR1")
    assert read_audit(torn)[0] is None
