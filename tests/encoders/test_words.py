"""Which words the text encoder may speak about."""

from __future__ import annotations

import pytest

from encoders.features import State, Words
from encoders.words import state_of


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (Words("A dog on the beach"), State.USED),
        (Words("A dog on the beach", language="en-GB"), State.USED),
        (Words("A dog on the beach", language="en_US"), State.USED),
        (Words("A dog on the beach", language="und"), State.USED),
        (Words("", "only a description"), State.USED),
        (Words("2024 #1!"), State.USED),
        (Words(), State.MISSING),
        (Words("   ", "\n"), State.MISSING),
        (Words(language="zh"), State.MISSING),
        (Words("Ein Hund am Strand", language="de"), State.UNSUPPORTED),
        (Words("沙滩上的狗"), State.UNSUPPORTED),
        (Words("沙滩上的狗", language="en"), State.UNSUPPORTED),
        (Words("Собака на пляже dog"), State.UNSUPPORTED),
        (Words("dog on the beach 沙滩"), State.USED),
    ],
    ids=repr,
)
def test_words_count_where_language_and_script_are_declared(words: Words, state: State) -> None:
    assert state_of(words, {"en"}, {"LATIN"}) is state
