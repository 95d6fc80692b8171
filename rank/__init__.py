"""The ranking model, bundles, evaluation and the tagger that joins recall and rank."""
