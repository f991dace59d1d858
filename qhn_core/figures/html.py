"""A page of text, tables and Plotly figures in one HTML file that opens without a network."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from qhn_core.figures.style import Figure

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%(title)s</title>
<style>
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  font: 15px/1.5 system-ui, sans-serif; color: #1F2430; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #DDE1E7; white-space: nowrap; }
.word { text-align: left; }
th { font-weight: 600; color: #565D6B; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.plot { height: 20rem; min-width: 0; } .tall { height: 30rem; }
.note { color: #565D6B; } pre { background: #F4F5F7; padding: .7rem; overflow-x: auto; }
.scroll { overflow-x: auto; }
</style>
<script>%(plotly)s</script>
<body>
%(body)s
<script>
for (const [id, figure] of Object.entries(%(figures)s))
  Plotly.newPlot(id, figure.data, { paper_bgcolor: "white", plot_bgcolor: "white", ...figure.layout },
    { responsive: true, displaylogo: false, toImageButtonOptions: { format: "svg" } });
</script>
</html>
"""


class Body:
    """A page under construction: its text so far, and its figures."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.figures: dict[str, Figure] = {}

    def page(self, title: str) -> str:
        """Write the whole file, with Plotly inside."""
        drawn = json.dumps(self.figures).replace("</", "<\\/")
        parts = "\n".join(self.parts)
        return PAGE % {"title": escape(title), "plotly": get_plotlyjs(), "body": parts, "figures": drawn}

    def heading(self, text: str, level: int = 2) -> None:
        """Add a heading of a level, 1 to 3."""
        self.parts.append(f"<h{level}>{escape(text)}</h{level}>")

    def text(self, text: str, kind: str = "") -> None:
        """Add a paragraph; kind: "note" for small print."""
        self.parts.append(f'<p class="{kind}">{escape(text)}</p>')

    def bullets(self, items: Iterable[str]) -> None:
        """Add a list of sentences."""
        self.parts.append("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>")

    def table(self, heads: list[str], rows: Iterable[Iterable[Any]]) -> None:
        """Add a table of texts; columns of words are aligned left, all others right."""
        lines = [[str(cell) for cell in row] for row in rows]
        words = [all(line[i][:1].isalpha() for line in lines) for i in range(len(heads))]

        def cells(line: list[str], tag: str) -> str:
            kinds = [' class="word"' if word else "" for word in words]
            parts = (f"<{tag}{k}>{escape(c)}</{tag}>" for k, c in zip(kinds, line, strict=True))
            return f"<tr>{''.join(parts)}</tr>"

        inside = cells(heads, "th") + "".join(cells(line, "td") for line in lines)
        self.parts.append(f'<div class="scroll"><table>{inside}</table></div>')

    def code(self, text: str) -> None:
        """Add a command."""
        self.parts.append(f"<pre>{escape(text)}</pre>")

    def plots(self, named: dict[str, Figure], kind: str = "") -> None:
        """Add figures side by side, each under its name."""
        boxes = []
        for name, figure in named.items():
            key = f"plot{len(self.figures)}"
            self.figures[key] = figure
            boxes.append(f'<div><b>{escape(name)}</b><div class="plot {kind}" id="{key}"></div></div>')
        self.parts.append(f'<div class="row">{"".join(boxes)}</div>')
