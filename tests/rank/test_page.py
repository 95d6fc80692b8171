"""What the page is made of says what it shows, also to those who don't see it."""

from __future__ import annotations

import base64
import io

import av
import numpy as np

from rank.bootstrap import Interval
from rank.plots import Line, bars, lines
from rank.report import table
from rank.stills import data_uri
from rank.wording import gap, verdict


def test_a_plot_says_its_values_in_words() -> None:
    drawn = lines("Recall", "candidates", "recall", [Line("all", [(1, 0.25), (300, 0.75)])])
    assert 'aria-label="Recall. recall by candidates: all from 0.250 at 1 to 0.750 at 300"' in drawn
    heights = bars("By frequency", "", {"head": {"accuracy": 0.5}}, note="Test split.")
    assert 'aria-label="By frequency. head: accuracy 0.500"' in heights
    assert "<small>Test split.</small>" in heights


def test_lines_can_be_told_apart_without_colours() -> None:
    drawn = lines("x", "", "", [Line(str(n), [(0, 0), (1, 1)]) for n in range(3)])
    assert 'stroke-dasharray="7 3"' in drawn
    assert 'stroke-dasharray="2 3"' in drawn


def test_cells_are_text_and_a_row_can_be_set_apart() -> None:
    made = table(["a & b"], [["<i>"], ["2"]], caption="n = 2", ours=1)
    assert "a &amp; b" in made
    assert "&lt;i&gt;" in made
    assert "<caption>n = 2</caption>" in made
    assert made.index("class=ours") > made.index("&lt;i&gt;")


def test_a_difference_is_said_as_its_interval_allows() -> None:
    assert verdict(Interval(-0.01, 0.02)) == "no difference"
    assert verdict(Interval(0.01, 0.02)) == "worse"
    assert verdict(Interval(-0.02, -0.01)) == "better"
    assert gap(Interval(0.031, 0.062)) == "ahead by 3.1% to 6.2%, beyond the interval"
    assert "neither" in gap(Interval(-0.01, 0.01))


def test_a_still_is_a_jpeg_that_shows_the_frame() -> None:
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[:, :48], picture[:, 48:] = (200, 40, 40), (20, 30, 180)
    head, _, inside = data_uri(picture).partition(",")
    assert head == "data:image/jpeg;base64"
    with av.open(io.BytesIO(base64.b64decode(inside)), mode="r") as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown - picture).mean() < 6
