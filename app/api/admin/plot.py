"""Usage per day as bars, drawn as SVG in the page: nothing to load, nothing to run."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.services.billing.reports import Day

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 900, 260, 60, 40, 12
_CLIP, _LIVE = "#4263eb", "#2fb344"


def bars(days: Sequence[Day]) -> Markup:
    """Credits of clips and of live captions, one bar for each day, the two on top of each other."""
    most = max((day.clip + day.live for day in days), default=0) or 1
    room, step = _HEIGHT - _TOP - _BOTTOM, (_WIDTH - _LEFT) / max(len(days), 1)
    ground = _HEIGHT - _BOTTOM
    drawn = [
        Markup(
            '<svg viewBox="0 0 {} {}" role="img" aria-label="Credits used per day" xmlns="http://www.w3.org/2000/svg" '
            'font-size="11" fill="currentColor">'
        ).format(_WIDTH, _HEIGHT)
    ]
    for part in (0, 0.5, 1):
        y = ground - room * part
        drawn.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="currentColor" stroke-opacity="0.2"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{:,.0f}</text>'
            ).format(_LEFT, _WIDTH, y, y, _LEFT - 6, y + 4, most * part)
        )
    for number, day in enumerate(days):
        x, y = _LEFT + number * step, float(ground)
        drawn.append(
            Markup("<g><title>{}: {} for clips, {} live, {:.0f} s</title>").format(
                day.day.isoformat(), day.clip, day.live, day.seconds
            )
        )
        for credits, colour in ((day.clip, _CLIP), (day.live, _LIVE)):
            height = room * credits / most
            y -= height
            drawn.append(
                Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
                    x + step * 0.1, y, step * 0.8, height, colour
                )
            )
        if (len(days) - 1 - number) % 5 == 0:
            drawn.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    x + step / 2, ground + 16, day.day.strftime("%d %b")
                )
            )
        drawn.append(Markup("</g>"))
    drawn.append(
        Markup(
            '<rect x="{}" y="{}" width="10" height="10" fill="{}"/><text x="{}" y="{}">clips</text>'
            '<rect x="{}" y="{}" width="10" height="10" fill="{}"/><text x="{}" y="{}">live</text></svg>'
        ).format(
            _LEFT,
            _HEIGHT - 14,
            _CLIP,
            _LEFT + 16,
            _HEIGHT - 5,
            _LEFT + 70,
            _HEIGHT - 14,
            _LIVE,
            _LEFT + 86,
            _HEIGHT - 5,
        )
    )
    return Markup("").join(drawn)
