"""The reference pages of the documentation, written from the code, and what the site's build needs.

``python -m tools.docs`` writes ``docs/reference``. The pages are committed: whoever reads the repository without
building the site finds them, and a change of the interface shows in the review that makes it. A test fails where they
are stale. See docs/design/0002.
"""
