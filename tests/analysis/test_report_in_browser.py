"""The report in a real browser, where there is one: it draws without errors, and a click shows the trial clicked."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.records import load_study
from analysis.report import write_report

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
CLICK = """<script>window.addEventListener("load", () => setTimeout(() => {
  const place = document.querySelector('[data-figure="front-joint"]');
  place.scrollIntoView({ block: "center", behavior: "instant" });
  const trace = place._fullData.find((item) => item.customdata && item.customdata.includes(TRIAL));
  const point = trace.customdata.indexOf(TRIAL), box = place.getBoundingClientRect(), layout = place._fullLayout;
  const clientX = box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[point]);
  const clientY = box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[point]);
  const fire = (type) => document.elementFromPoint(clientX, clientY)
    .dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX, clientY }));
  fire("mouseover"); fire("mousemove");
  setTimeout(() => { fire("mousedown"); fire("mouseup"); fire("click"); }, 300);
}, 500));</script>"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")]


def open_page(page: Path, fragment: str, profile: Path) -> tuple[str, str]:
    """Return the page as it stands after its scripts ran, and what the console said."""
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    options += ["--window-size=1400,1200", "--virtual-time-budget=8000", f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *options, page.as_uri() + fragment], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("way", ["address", "click"])
def test_a_trial_s_panel_shows_its_gallery_configuration_and_checks(
    make_study: Callable[..., Path], tmp_path: Path, way: str
) -> None:
    folder = make_study(galleries=(21,))
    page = folder / "report.html"
    html = write_report(load_study(folder), page).html
    if way == "click":
        page.write_text(html.replace("</body>\n</html>", CLICK.replace("TRIAL", "21") + "</body>\n</html>"))
    shown, console = open_page(page, "#trial=21" if way == "address" else "", tmp_path / "profile")
    assert console == ""
    assert shown.count('class="main-svg"') >= 5
    panel = re.search(r'<aside id="panel".*?</aside>', shown, re.DOTALL)
    assert panel is not None
    assert "<h2>Trial 21</h2>" in panel[0]
    assert 'src="data:image/' in panel[0]
    assert "subversion.learned.identity_weight" in panel[0]
    assert "verdict: violation" in panel[0]
