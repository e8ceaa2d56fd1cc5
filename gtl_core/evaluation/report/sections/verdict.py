"""The banner: the answer in one line, its interval, and what was compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.frame import picture
from gtl_core.evaluation.report.charts.marks import sign
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.scales import Axis, straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import name_of, percent, points, points_interval

_BAR = 92


def build(inputs: Inputs) -> Section:
    """The verdict of one run."""
    verdict = inputs.verdict
    baseline, judged = inputs.compared
    facts = [
        ("Best without a GAN", arm_title(baseline["arm"]), percent(baseline["mean"])),
        ("With GAN images", arm_title(judged["arm"]), percent(judged["mean"])),
        (
            "Measured on",
            f"test images, in each of {verdict['draws']} draws",
            f"{verdict['test_images']:,}",
        ),
        (
            "Could have shown",
            "in four of five studies like this",
            f"{100 * verdict['detectable']:.1f} points",
        ),
    ]
    cards = joined(
        element("div", element("dt", name), element("dd", element("strong", value), element("span", what)))
        for name, what, value in facts
    )
    sentence = verdict.get("sentence", "")
    html = (
        element("p", headline(verdict), class_=f"headline {verdict['label']}")
        + interval_bar(verdict)
        + element("dl", cards, class_="facts")
        + (element("p", sentence) if sentence else Markup(""))
    )
    meaning = (
        f"The bar holds the true difference of {name_of(verdict['metric'])} with 95 % confidence. Only where all of it "
        "lies on one side of zero is the question settled. Both ways of training were chosen on validation images, by "
        f"{verdict['chosen_by']}; the test images were opened once, after the last choice."
    )
    return Section("Verdict", html=html, meaning=meaning, numbers=verdict)


def headline(verdict: Mapping[str, Any]) -> str:
    """The answer in a few words."""
    if verdict["label"] == "inconclusive":
        return "It is not settled whether the GAN helps"
    return f"The GAN {verdict['label']}: {points(verdict['difference'])} points"


def interval_bar(verdict: Mapping[str, Any]) -> Markup:
    """The difference and its interval on a line with zero in it."""
    value, low, high = (100 * verdict[key] for key in ("difference", "low", "high"))
    asked_for = abs(100 * (verdict.get("min_gain") or 0.0))
    reach = max(abs(low), abs(high), 100 * verdict["detectable"], asked_for, 0.5) * 1.1
    axis: Axis = straight([-reach, reach], count=4)
    middle = 46
    zero = axis.x(0.0)
    ticks = joined(
        element("text", f"+{label}" if tick > 0 else label, x=axis.x(tick), y=_BAR - 6, text_anchor="middle")
        for tick, label in zip(axis.ticks, axis.labels, strict=True)
    )
    grid = joined(
        element("line", x1=axis.x(t), x2=axis.x(t), y1=middle - 20, y2=middle + 20, class_="grid") for t in axis.ticks
    )
    kind = {"helps": "helps", "harms": "harms"}.get(verdict["label"], "open")
    asked = Markup("")
    if verdict.get("min_gain"):
        place = axis.x(100 * verdict["min_gain"])
        asked = element("line", x1=place, x2=place, y1=middle - 24, y2=middle + 24, class_="reference")
    drawn = (
        element("text", "← worse with the GAN", x="1%", y=12, class_="title")
        + element("text", "better with the GAN →", x="99%", y=12, text_anchor="end", class_="title")
        + grid
        + asked
        + element("line", x1=zero, x2=zero, y1=middle - 24, y2=middle + 24, class_="zero")
        + element("line", x1=axis.x(low), x2=axis.x(high), y1=middle, y2=middle, class_=f"band {kind}")
        + sign("gan", axis.x(value), middle, strong=True)
        + ticks
    )
    interval = (
        f"{points(verdict['difference'])} points, 95 % interval {points_interval(verdict['low'], verdict['high'])}"
    )
    caption = element("figcaption", element("strong", interval), f" of {name_of(verdict['metric'])}", _asked(verdict))
    return element("figure", caption, picture(headline(verdict), interval, drawn, "bar", height=_BAR))


def _asked(verdict: Mapping[str, Any]) -> str:
    """What the dashed line is, where a gain was asked for."""
    gain = verdict.get("min_gain")
    return f"; the dashed line is the gain that was asked for, {points(gain)}" if gain else ""
