"""Add many traces, shapes and annotations to a figure at once.

Plotly checks and copies all that a figure has on each single addition: hundreds one by one take the square of that.
"""

from typing import Any

import plotly.graph_objects as go


class Canvas:
    """Collects what is to be drawn on a figure of one or several panels."""

    def __init__(self, drawn: go.Figure, *, panels: bool = True) -> None:
        """Draw on ``drawn``; ``panels`` says whether it was made of subplots."""
        self._drawn, self._panels = drawn, panels
        self._traces: list[tuple[Any, int, int]] = []
        self._shapes: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def trace(self, trace: Any, row: int = 1, col: int = 1) -> None:
        """Add a trace to a panel, rows and columns from 1."""
        self._traces.append((trace, row, col))

    def shape(self, row: int = 1, col: int = 1, **shape: Any) -> None:
        """Add a shape in the coordinates of a panel."""
        self._shapes.append(self._referred(shape, row, col))

    def vline(self, at: float, row: int = 1, col: int = 1, **look: Any) -> None:
        """Add a vertical line from the bottom to the top of a panel."""
        x, y = self._axes(row, col)
        self._shapes.append(
            {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "xref": x, "yref": f"{y} domain"} | look
        )

    def write(self, row: int = 1, col: int = 1, **annotation: Any) -> None:
        """Add a text; ``xref`` and ``yref`` may be "domain" for parts of the panel, or "paper"."""
        self._annotations.append({"showarrow": False} | self._referred(annotation, row, col))

    def finish(self) -> None:
        """Put everything onto the figure."""
        if self._panels:
            traces, rows, cols = zip(*self._traces, strict=True) if self._traces else ((), (), ())
            self._drawn.add_traces(list(traces), rows=list(rows), cols=list(cols))
        else:
            self._drawn.add_traces([trace for trace, _, _ in self._traces])
        layout = self._drawn.layout
        layout.shapes = [*(item.to_plotly_json() for item in layout.shapes), *self._shapes]
        layout.annotations = [*(item.to_plotly_json() for item in layout.annotations), *self._annotations]

    def _axes(self, row: int, col: int) -> tuple[str, str]:
        if not self._panels:
            return "x", "y"
        panel = self._drawn.get_subplot(row, col)
        return panel.xaxis.plotly_name.replace("axis", ""), panel.yaxis.plotly_name.replace("axis", "")

    def _referred(self, item: dict[str, Any], row: int, col: int) -> dict[str, Any]:
        found = dict(item)
        if found.get("xref") == found.get("yref") == "paper":  # Anywhere, even where there is no panel.
            return found
        for name, axis in zip(("xref", "yref"), self._axes(row, col), strict=True):
            stated = found.get(name)
            found[name] = axis if stated is None else f"{axis} domain" if stated == "domain" else stated
        return found
