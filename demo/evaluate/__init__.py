"""What `python -m demo.evaluate` asks the pack, and its report: rows that are kept as JSON, printed, and
written into a page of docs/evidence."""

import json
import math
from pathlib import Path

REPORT = Path("demo/evaluate/pack.json")
ASK_REPORT = Path("demo/evaluate/ask.json")
USUAL = 500  # samples of a row; any other number is written beside it


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927)."""
    z, p = 1.96, hits / count
    middle, spread = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


class Report:
    """The rows so far; printed as a table, kept as JSON. `mark` names the place of the table in `page`."""

    about = "95 % Wilson intervals; seeds fixed; held-out compositions; judge: demo.judge"
    mark, page = "figures", Path("docs/evidence/demo-models.md")

    def __init__(self, path: Path | None = None):
        self.path = path or REPORT
        self.rows = self._stored()

    def _stored(self) -> dict:
        return json.loads(self.path.read_text())["rows"] if self.path.exists() else {}

    def share(self, name: str, hits: list[bool], least: float | None, **more):
        low, high = wilson(sum(hits), len(hits))
        self.row(
            name,
            round(sum(hits) / len(hits), 4),
            least,
            n=len(hits),
            interval=[round(low, 4), round(high, 4)],
            **more,
        )

    def row(self, name: str, value: float, bar: float | None, at_most: bool = False, **more):
        reached = None if bar is None else (value <= bar if at_most else value >= bar)
        self.rows = self._stored()  # another process may have added rows since
        least = {} if bar is None or at_most or "interval" in more else {"at_least": True}
        self.rows[name] = {"value": value, "bar": bar, "reached": reached, **least, **more}
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({"about": self.about, "rows": self.rows}, indent=1) + "\n")
        print(self.line(name), flush=True)

    def line(self, name: str) -> str:
        row = self.rows[name]
        value, bar = row["value"], row["bar"]
        if "interval" in row:
            low, high = row["interval"]
            text = f"{name:<58} {value:7.1%}  ({low:.1%} to {high:.1%}, n = {row['n']})"
            return text + (
                f"  asked {bar:.0%}: {'yes' if row['reached'] else 'NO'}" if bar is not None else ""
            )
        return f"{name:<58} {value:7.2f}" + (
            f"  asked {bar}: {'yes' if row['reached'] else 'NO'}" if bar is not None else ""
        )

    def markdown(self) -> str:
        """The table of the page."""
        lines = ["| what | measured (95 % interval) | goal |", "|---|---|---|"]
        for name, row in self.rows.items():
            most = "" if "interval" in row else "at least " if row.get("at_least") else "at most "
            measured = _share(row) if "interval" in row else f"{row['value']:.2f}"
            lines.append(f"| {name} | {measured} | {_goal(row, most)} |")
        return "\n".join(lines)

    def publish(self):
        """Writes the table into its page, between its two marks."""
        start, end = f"<!-- {self.mark} -->", f"<!-- /{self.mark} -->"
        before, rest = self.page.read_text().split(start)
        self.page.write_text(f"{before}{start}\n{self.markdown()}\n{end}{rest.split(end)[1]}")


def _share(row: dict) -> str:
    low, high = row["interval"]
    count = "" if row["n"] == USUAL else f", n = {row['n']}"
    return f"{row['value']:.1%} ({100 * low:.1f}–{high:.1%}{count})"


def _goal(row: dict, most: str = "") -> str:
    if row["bar"] is None:
        return ""
    goal = f"{row['bar']:.0%}" if "interval" in row else f"{most}{row['bar']}"
    return goal if row["reached"] else f"{goal} (missed)"


class AskReport(Report):
    """The rows about the chat model, each beside what the best constant answer would get."""

    about = "95 % Wilson intervals; seeds fixed; held-out compositions; chance: the best constant answer"
    mark, page = "ask", Path("docs/evidence/questions.md")

    def __init__(self):
        super().__init__(ASK_REPORT)

    def markdown(self) -> str:
        lines = ["| question | chance | measured (95 % interval) | goal |", "|---|---|---|---|"]
        for name, row in self.rows.items():
            lines.append(f"| {name} | {row['chance']:.0%} | {_share(row)} | {_goal(row)} |")
        return "\n".join(lines)
