"""Text encoders: words to token ids to one unit vector a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from encoders.batching import by_length, padded
from encoders.features import F32, I64
from encoders.session import Session
from encoders.words import tidy

BATCH = 32


class TextEncoder:
    """A tokenizer and a text network that takes (ids, mask) and gives unit vectors."""

    def __init__(self, session: Session, tokenizer: Path, *, dim: int, max_tokens: int) -> None:
        self.dim = dim
        self._session = session
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def tokenize(self, text: str) -> I64:
        """int64 [L], with the tokenizer's own first and last token."""
        return np.asarray(self._tokenizer.encode(tidy(text)).ids, np.int64)

    def encode(self, tokens: Sequence[I64]) -> F32:
        """float32 [N, dim], unit length, in the order of ``tokens``."""
        vectors = np.empty((len(tokens), self.dim), np.float32)
        for batch in by_length([len(row) for row in tokens], BATCH):
            vectors[batch] = self._session.run(*padded([tokens[i] for i in batch]))[0]
        return vectors
