"""What all tests share: Hypothesis draws the same examples everywhere, without a time limit."""

from hypothesis import settings

# A slow, busy machine must not fail a test, and a failure must come back on the next run.
settings.register_profile("collection", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("collection")
