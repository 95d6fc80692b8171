"""Labelled corpus, vocabulary, vector indexes and the five recall channels."""
