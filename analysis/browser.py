"""Draw figures with a browser without a window: the one place where another program is run."""

import base64
import html
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from plotly.offline import get_plotlyjs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 300.0
"""After which a browser is given up."""

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000",
)  # fmt: skip
_PAGE = """<!doctype html><meta charset="utf-8"><script>{plotly}</script><div id="place"></div>
<script type="application/json" id="figures">{figures}</script><script>
(async () => {{
  const place = document.getElementById("place");
  for (const [name, figure] of Object.entries(JSON.parse(document.getElementById("figures").textContent))) {{
    const height = figure.layout.height || 500;
    const layout = {{...figure.layout, width: {width}, height, paper_bgcolor: "#ffffff"}};
    await Plotly.newPlot(place, figure.data, layout, {{staticPlot: true}});
    for (const format of ["png", "svg"]) {{
      const out = document.createElement("pre");
      out.className = "drawn";
      out.dataset.name = name;
      out.dataset.format = format;
      const scale = format === "png" ? 2 : 1;
      out.textContent = await Plotly.toImage(place, {{format, width: {width}, height, scale}});
      document.body.append(out);
    }}
  }}
}})();
</script>"""
_DRAWN = re.compile(r'<pre class="drawn" data-name="([^"]+)" data-format="(png|svg)">([^<]*)</pre>')


@dataclass(frozen=True)
class Browser:
    """A Chromium or Chrome."""

    path: str

    def draw(self, figures: Mapping[str, Any], *, width: int) -> dict[str, dict[str, bytes]]:
        """Draw figures.

        Args:
            figures: Name to figure as plotly's JSON.
            width: Of the pictures, pixels; PNG has twice as many.

        Returns:
            Name to format ("png" and "svg") to the file's content; figures that failed are not there.

        Raises:
            OSError: If the browser cannot be started.
            ValueError: If it does not end in time, or fails.
        """
        text = json.dumps(figures, separators=(",", ":")).replace("<", "\\u003c")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            page = Path(folder) / "page.html"
            page.write_text(_PAGE.format(plotly=get_plotlyjs(), figures=text, width=width), encoding="utf-8")
            profile = f"--user-data-dir={folder}/profile"
            command = [self.path, *_OPTIONS, profile, "--dump-dom", page.as_uri()]
            try:
                ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            except subprocess.TimeoutExpired:
                raise ValueError(f"it did not end within {SECONDS:.0f} s") from None
        if ended.returncode:
            raise ValueError(f"it ended with status {ended.returncode}")
        found: dict[str, dict[str, bytes]] = {}
        for name, ending, url in _DRAWN.findall(ended.stdout):
            found.setdefault(html.unescape(name), {})[ending] = _content(html.unescape(url))
        return {name: formats for name, formats in found.items() if len(formats) == 2}


def find_browser() -> Browser | None:
    """Return a browser that is installed here, None if there is none."""
    path = next((path for name in NAMES if (path := shutil.which(name))), None)
    return None if path is None else Browser(path)


def _content(url: str) -> bytes:
    head, _, data = url.partition(",")
    return base64.b64decode(data) if head.endswith(";base64") else unquote(data).encode()
