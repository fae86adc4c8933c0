"""A headless browser for tests, where the machine has one."""

import re
import shutil
import subprocess
from pathlib import Path

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
MISSING = "no Chromium on this machine: the report was not opened in a browser"


def open_page(address: str, profile: Path, *, milliseconds: int = 8000) -> tuple[str, str]:
    """Return a page as it stands after its scripts ran, and what the console said.

    Args:
        address: URL of the page.
        profile: Folder for the browser's profile.
        milliseconds: Virtual time that scripts get.
    """
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    options += ["--window-size=1400,1200", f"--virtual-time-budget={milliseconds}", f"--user-data-dir={profile}"]
    command = [BROWSER, *options, "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def with_script(page: Path, script: str) -> None:
    """Let a page run a script half a second after it was loaded."""
    end = "</body>\n</html>"
    html = page.read_text(encoding="utf-8")
    assert html.rstrip().endswith(end)
    added = f'<script>window.addEventListener("load", () => setTimeout(() => {{{script}}}, 500));</script>{end}'
    page.write_text(html.rstrip().removesuffix(end) + added, encoding="utf-8")


def attribute(html: str, identifier: str, name: str) -> str:
    """Return an attribute of the element with an id."""
    element = re.search(rf'<[^>]*\bid="{identifier}"[^>]*>', html)
    assert element is not None, identifier
    found = re.search(rf'\b{name}="([^"]*)"', element[0])
    assert found is not None, (identifier, name)
    return found[1]


def panel_of(html: str) -> str:
    """Return the panel of one trial as HTML."""
    panel = re.search(r'<aside id="panel".*?</aside>', html, re.DOTALL)
    assert panel is not None
    return panel[0]
