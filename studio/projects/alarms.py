"""What becomes of watched pictures that were judged: which defects are posted, which only listed; and what no
single picture says: a camera that is silent, one that sees something else than before, the day's figures."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from math import hypot, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import ImageError, UserError
from core.job import Job
from core.language import _, speaking
from core.outside import STATUS
from storage import watches as rows
from storage.projects import projects as project_rows
from storage.watches import Ended, Watch
from studio.authority import Place, Unanswered
from studio.projects.projects import own
from studio.services import Services
from studio.texts import counted

SETTLED_AT_ONCE = 100
SAME_WITHIN, COMPARED = timedelta(minutes=5), 4  # how long a part counts as seen; pictures of it
SAME_PART, SAME_DEFECT = 0.9, 0.75  # correlations, at least: of pictures, of what is around a defect
NEAR = 0.08  # of the sides, by which a defect may be moved on its part
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIRST, WEIGHT, SPREAD = 50, 0.1, 4.0  # pictures that say what is usual; of a new one; least variance, levels²
CHANGED, AS_BEFORE = 2.0, 1.0  # spreads by which a camera's pictures have drifted
BARS = "▁▂▃▄▅▆▇█"
HOURS = re.compile(r"(?:(\d\d?):(\d\d)-(\d\d?):(\d\d))?\s*([A-Za-z][\w+-]*(?:/[\w+-]+){0,2})?")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QuietHours:
    """Times of the day, by the clock of a place, at which nothing is posted."""

    begin: time | None
    end: time | None
    zone: tzinfo

    @classmethod
    def of(cls, text: str) -> "QuietHours":
        """Read "22:00-06:00 Europe/Berlin"; either part may be missing. Raises UserError."""
        read = HOURS.fullmatch(text.strip())
        try:
            if read is None or len(text) > 60:
                raise ValueError
            numbers = [int(one) for one in read.groups()[:4] if one is not None]
            zone = ZoneInfo(read[5]) if read[5] else UTC
            begin = end = None
            if numbers:
                begin, end = time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
        except (ValueError, OSError, KeyError):
            raise UserError(_("Quiet hours look like 22:00-06:00 Europe/Berlin.")) from None
        return cls(begin, end, zone)

    def include(self, now: datetime) -> bool:
        """Return whether nothing is posted now."""
        if self.begin is None or self.end is None:
            return False
        at = now.astimezone(self.zone).time()
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass
class Sight:
    """What a camera's pictures look like in 192 coarse cells: at first, and lately. number: of pictures."""

    number: int
    mean: list[float]
    square: list[float]
    now: list[float]

    @classmethod
    def of(cls, text: str) -> "Sight":
        """Return what was written; of nothing a new one."""
        return cls(**json.loads(text)) if text else cls(0, [], [], [])

    def text(self) -> str:
        """Return what is kept of it."""
        return json.dumps(
            {
                name: value if name == "number" else [round(one, 2) for one in value]
                for name, value in vars(self).items()
            }
        )

    def add(self, look: bytes) -> float:
        """Take a picture; return by how many spreads of the first ones the last ones have moved, 0 until
        there are enough."""
        cells = list(look)
        if not self.mean:
            self.mean, self.square, self.now = ([0.0] * len(cells) for _unused in range(3))
        self.number += 1
        if self.number <= FIRST:
            share = 1 / self.number
            self.mean = [m + share * (c - m) for m, c in zip(self.mean, cells, strict=True)]
            self.square = [s + share * (c * c - s) for s, c in zip(self.square, cells, strict=True)]
            self.now = list(self.mean)
            return 0.0
        self.now = [n + WEIGHT * (c - n) for n, c in zip(self.now, cells, strict=True)]
        spreads = (max(s - m * m, 0.0) + SPREAD for s, m in zip(self.square, self.mean, strict=True))
        moved = ((n - m) ** 2 / v for n, m, v in zip(self.now, self.mean, spreads, strict=True))
        return sqrt(sum(moved) / len(cells))


class Alarms:
    """Settles judged pictures, and posts what cameras tell."""

    def __init__(self, services: Services) -> None:
        self._database, self._intake = services.database, services.intake
        self._queue = services.queue
        self._directory = services.directory
        self._broker, self._announced = services.broker, set[str]()
        self.tellers: list[Callable[[Job], object]] = []

    async def settle(self) -> None:
        """Note what became of pictures whose jobs are over, and let alarms be told."""
        for one in await self._database.read(partial(rows.list_ended, limit=SETTLED_AT_ONCE)):
            watch = await self._database.read(partial(rows.read_watch, watch_id=one.watch_id))
            if watch is not None:
                await self._settle(one, watch, datetime.now(UTC))
        if self.tellers:
            for job in await self._database.read(rows.list_untold):
                for follow in self.tellers:
                    follow(job)

    async def _settle(self, one: Ended, watch: Watch, now: datetime) -> None:
        state, why, drift, sight = rows.FAILED, "", 0.0, watch.sight
        if one.strange is not None:
            state = rows.GOOD
            if one.look:
                seen = Sight.of(watch.sight)
                drift, sight = seen.add(bytes.fromhex(one.look)), seen.text()
        if one.strange:
            why = await self._why_quiet(one, watch, now)
            state = rows.QUIET if why else rows.ALARM
        settled = partial(rows.settle, job_id=one.job_id, state=state, why=why, drift=drift, now=now)
        await self._database.write(lambda c: settled(c) and rows.change_watch(c, watch.id, {"sight": sight}))
        if self._broker is not None and one.strange is not None:
            said = {"defect": "ON" if one.strange else "OFF", "score": round(one.score or 0.0, 4)}
            said |= {"camera": watch.camera, "job": one.job_id, "at": one.at.isoformat(), "posted": not why}
            await self._broker.publish(state_topic(watch.id), said)

    async def _why_quiet(self, one: Ended, watch: Watch, now: datetime) -> str:
        """Return why a defect isn't posted, "" where it is."""
        if watch.quiet_until and watch.quiet_until > now:
            return rows.SNOOZED
        if QuietHours.of(watch.hours).include(now):
            return rows.HOURS
        since = one.at - SAME_WITHIN
        work = partial(rows.list_shown, watch_id=watch.id, since=since, but=one.job_id, limit=COMPARED)
        if await self._is_seen_again(one, await self._database.read(work)):
            return rows.SAME
        told = await self._database.read(partial(rows.count_told, watch_id=watch.id, since=now - MINUTE))
        return rows.MANY if told >= watch.most else ""

    async def _is_seen_again(self, one: Ended, before: Sequence[tuple[str, str]]) -> bool:
        """Return whether one of the pictures before (job, SHA-256) shows the same part with its defect."""
        if not before:
            return False
        places = [await self._place(job_id) for job_id in (one.job_id, *(job for job, _sha256 in before))]
        known = [place for place in places if place is not None]
        are_placed = len(known) == len(places)
        pictures = [one.sha256, *(sha256 for _job_id, sha256 in before)]
        try:
            fits = await self._intake.likeness(pictures, known if are_placed else ())
        except ImageError as error:
            log.warning("job %s: its picture can't be compared: %s", one.job_id, error)
            return False
        if not are_placed:
            return max(fit for fit, _right, _down in fits) >= SAME_PART
        ours, *theirs = known
        return any(
            fit >= SAME_DEFECT and hypot(x + right - ours[0], y + down - ours[1]) <= NEAR
            for (x, y), (fit, right, down) in zip(theirs, fits, strict=True)
        )

    async def _place(self, job_id: str) -> tuple[float, float] | None:
        """Return where a verdict's clearest defect is, in 0..1 of the sides, None where it doesn't say."""
        result = await self._queue.result(job_id)
        said = result.parameters.get("verdicts", ({},))[0] if result is not None else {}
        if not said.get("regions"):
            return None
        one = said["regions"][0]
        return (one["left"] + one["right"]) / 2, (one["top"] + one["bottom"]) / 2

    async def announce(self, watch: Watch) -> None:
        """Let Home Assistant show a camera, once."""
        if self._broker is None or watch.id in self._announced:
            return
        self._announced.add(watch.id)
        for topic, told in discovery(watch.id, watch.camera).items():
            await self._broker.publish(topic, told, keep=True)

    async def retract(self, watch_id: str) -> None:
        """Let Home Assistant forget a camera."""
        self._announced.discard(watch_id)
        if self._broker is not None:
            for topic in discovery(watch_id, ""):
                await self._broker.publish(topic, "", keep=True)

    async def look_after(self, watch: Watch, now: datetime) -> None:
        """Post what a camera tells besides single pictures: a digest, silence, a change, the day before."""
        change: dict[str, object] = {}
        with speaking(watch.language):
            lines = [*await self._digest(watch, now, change)]
            if not QuietHours.of(watch.hours).include(now):
                lines += [*self._silence(watch, now, change), *await self._changed(watch, change)]
            lines += await self._report(watch, now, change)
            if lines:
                change["notice"] = " ".join(lines)[:500]
        if change:
            await self._database.write(partial(rows.change_watch, watch_id=watch.id, values=change))
        for line in lines:
            await self._tell(watch, line)

    async def _digest(self, watch: Watch, now: datetime, change: dict[str, object]) -> list[str]:
        since = watch.digest_at or watch.created_at
        if now - since < MINUTE:
            return []
        number = await self._database.read(partial(rows.count_many, watch_id=watch.id, since=since))
        if not number:
            return []
        change["digest_at"] = now
        return [
            _(
                "{camera}: {defects} more; *Cameras* lists them.",
                camera=watch.camera,
                defects=counted(number, "defect"),
            )
        ]

    def _silence(self, watch: Watch, now: datetime, change: dict[str, object]) -> list[str]:
        since = max(filter(None, (watch.seen_at, watch.on_at, watch.created_at)))
        is_silent = bool(watch.silent_after) and now - since > watch.silent_after * MINUTE
        if is_silent == watch.is_silent:
            return []
        change["is_silent"] = int(is_silent)
        if not is_silent:
            return [_("{camera} sends pictures again.", camera=watch.camera)]
        told = _(
            "{camera} is silent: no picture for {minutes}.",
            camera=watch.camera,
            minutes=counted(watch.silent_after, "minute"),
        )
        return [f"{told} {watch.trouble}".strip()]

    async def _changed(self, watch: Watch, change: dict[str, object]) -> list[str]:
        drift = await self._database.read(partial(rows.newest_drift, watch_id=watch.id))
        if not watch.is_changed and drift >= CHANGED:
            change["is_changed"] = 1
            return [
                _(
                    "{camera} sees something else than before. Has it moved, or its light? Drift {drift},"
                    " usual is below 1. Turn it off and on when this is how it stays.",
                    camera=watch.camera,
                    drift=f"{drift:.1f}",
                )
            ]
        if watch.is_changed and drift < AS_BEFORE:
            change["is_changed"] = 0
        return []

    async def _report(self, watch: Watch, now: datetime, change: dict[str, object]) -> list[str]:
        zone = QuietHours.of(watch.hours).zone
        day = now.astimezone(zone).date() - DAY
        if watch.reported_on >= day.isoformat():
            return []
        change["reported_on"] = day.isoformat()
        begin, end = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + DAY))
        seen = await self._database.read(partial(rows.day_of, watch_id=watch.id, begin=begin, end=end))
        return [report_text(watch.camera, day, seen)] if seen.parts else []

    async def _tell(self, watch: Watch, text: str) -> None:
        found = await self._database.read(partial(project_rows.read_project, project_id=watch.project_id))
        if found is None:
            return
        alone = own(found)
        place = Place(found.guild_id, 0 if alone else watch.channel_id)
        try:
            await self._directory.tell(place, f"📷 {text}", watch.user_id if alone else None)
        except (UserError, Unanswered) as error:
            log.warning("watch %s: a notice couldn't be posted: %s", watch.id, error)


def state_topic(watch_id: str) -> str:
    """Return the topic by which a camera's verdicts are told, as JSON."""
    return f"atelier/{watch_id}"


def discovery(watch_id: str, camera: str) -> dict[str, dict[str, Any]]:
    """Return topic → what makes Home Assistant show a camera: whether it sees a defect, and the score.
    Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery"""
    own = f"atelier_{watch_id}"
    shared = {
        "state_topic": state_topic(watch_id),
        "availability_topic": STATUS,
        "device": {"identifiers": [own], "name": camera, "manufacturer": "Atelier"},
    }
    defect = {"name": "Defect", "unique_id": f"{own}_defect", "device_class": "problem"}
    defect |= {"value_template": "{{ value_json.defect }}", "json_attributes_topic": state_topic(watch_id)}
    score = {"name": "Score", "unique_id": f"{own}_score", "state_class": "measurement"}
    score |= {"value_template": "{{ value_json.score }}"}
    return {
        f"homeassistant/binary_sensor/{own}/config": defect | shared,
        f"homeassistant/sensor/{own}/config": score | shared,
    }


def report_text(camera: str, day: date, seen: rows.Day) -> str:
    """Return a day's figures: parts, stopped, confirmed, and how the pictures drifted hour by hour."""
    told = _(
        "{camera}, {day}: {parts}, {stopped} stopped, {right} confirmed, {wrong} false alarms.",
        camera=camera,
        day=day.isoformat(),
        parts=counted(seen.parts, "part"),
        stopped=seen.stopped,
        right=seen.right,
        wrong=seen.wrong,
    )
    if not any(seen.drifts):
        return told
    highest = max(CHANGED, *seen.drifts)
    bars = "".join(BARS[min(int(one / highest * len(BARS)), len(BARS) - 1)] for one in seen.drifts)
    return f"{told} " + _(
        "Drift by the hour: {bars}, at most {most}.", bars=bars, most=f"{max(seen.drifts):.1f}"
    )
