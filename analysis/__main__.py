"""``python -m analysis``: reports, comparisons and selections from the folders of studies."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.compare import compare
from analysis.compare_page import write_comparison
from analysis.errors import AnalysisError
from analysis.export import export
from analysis.records import load_study
from analysis.report import write_report
from analysis.select import select, write_selection
from analysis.watch import watch
from analysis.weights import weights_removed
from analysis.words import count

FAILED = 2
"""Exit status where a person has something to mend."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main_parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Show what a study found. Reads the records in its folder, while it runs or after.",
    )
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    report = commands.add_parser(
        "report",
        help="write one self-contained HTML file",
        description="Write the report of a study: one HTML file that works offline, with Pareto fronts, every check "
        "against its bound, galleries and configurations.",
    )
    report.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` wrote")
    report.add_argument("--output", type=Path, metavar="FILE", help="where to write (default: DIR/report.html)")
    chosen = commands.add_parser(
        "select",
        help="write chosen configurations as YAML, with the evidence",
        description="Write chosen configurations among those within every bound, with the evidence for the choice, for "
        "`python -m study starting_points=FILE`, `python -m study.audit` and `python -m study.final_training`.",
    )
    chosen.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` wrote")
    chosen.add_argument(
        "--rule",
        default="best",
        metavar="RULE",
        help="best: by the first searched objective (default); knee: of the front over all objectives; "
        "'budget:steganalysis_auc <= 0.55': the best of those that keep this bound as well; ids:3,7: by number",
    )
    chosen.add_argument("--top", type=int, default=1, metavar="N", help="how many at most (default: 1)")
    chosen.add_argument(
        "--allow-infeasible", action="store_true", help="choose among all measured trials, bounds kept or not"
    )
    chosen.add_argument("--output", type=Path, metavar="FILE", help="where to write (default: DIR/best.yaml)")
    compared = commands.add_parser(
        "compare",
        help="put several studies side by side",
        description="Write one self-contained HTML file with several studies side by side: what each reached within "
        "its bounds with intervals, feasible hypervolume on one range, outcomes, time, and which settings differ.",
    )
    compared.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="folders that `python -m study` wrote")
    compared.add_argument(
        "--output",
        type=Path,
        default=Path("compare.html"),
        metavar="FILE",
        help="where to write (default: %(default)s)",
    )
    watched = commands.add_parser(
        "watch",
        help="show a running study in the browser",
        description="Serve the report of a study to this machine only, at 127.0.0.1. It is drawn from the records and "
        "follows them while the study runs. Ctrl-C ends it.",
    )
    watched.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` writes")
    watched.add_argument("--port", type=int, default=8899, help="port, 0 for any that is free (default: %(default)s)")
    watched.add_argument(
        "--seconds", type=float, default=5.0, help="between two looks at the records, at least 1 (default: %(default)g)"
    )
    exported = commands.add_parser(
        "export",
        help="write trials as CSV and Parquet, and every figure as a file",
        description="Write the trials as CSV and Parquet, and every figure of the report as HTML and, where a Chromium "
        "or Chrome is installed, as PNG and SVG.",
    )
    exported.add_argument("folder", type=Path, metavar="DIR", help="folder that `python -m study` wrote")
    exported.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: DIR/export)")
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, or 2 with a message where something has to be mended."""
    options = parser().parse_args(arguments)
    try:
        commands = {"report": _report, "select": _select, "compare": _compare, "watch": _watch, "export": _export}
        return commands[options.command](options)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
    return FAILED


def _report(options: argparse.Namespace) -> int:
    study = load_study(options.folder)
    output = options.output or options.folder / "report.html"
    for warning in write_report(study, output).warnings:
        print(f"warning: {warning}", file=sys.stderr)
    feasible = int(study.feasible.sum())
    print(f"{output}: {count(len(study), 'trial')}, {feasible} feasible, {output.stat().st_size / 1e6:.1f} MB")
    return 0


def _select(options: argparse.Namespace) -> int:
    study = load_study(options.folder)
    selection = select(study, options.top, options.rule, allow_infeasible=options.allow_infeasible)
    output = options.output or options.folder / "best.yaml"
    write_selection(selection, output)
    if len(selection.trials) < selection.asked:
        print(f"warning: only {count(len(selection.trials), 'trial')} could be selected", file=sys.stderr)
    for trial in selection.trials:
        if weights_removed(options.folder, trial):
            print(
                f"warning: trial {trial} has no weights any more, they were removed as the study went (keep.best, "
                f"keep.gigabytes); {options.folder}/artifacts/{trial}/config.yaml has its configuration and its seed, "
                f"and python -m study starting_points={output} trains it anew",
                file=sys.stderr,
            )
    print(f"{output}: trial {', '.join(map(str, selection.trials))}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    found = compare(tuple(load_study(folder) for folder in options.folders))
    write_comparison(found, options.output)
    print(f"{options.output}: {len(found.studies)} studies, {options.output.stat().st_size / 1e6:.1f} MB")
    return 0


def _watch(options: argparse.Namespace) -> int:
    watch(options.folder, port=options.port, seconds=options.seconds)
    return 0


def _export(options: argparse.Namespace) -> int:
    output = options.output or options.folder / "export"
    found = export(options.folder, output)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{output}: {count(len(found.files), 'file')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
