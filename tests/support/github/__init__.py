"""A fake of GitHub's REST API, as far as secrets and variables go; see :mod:`support.github.service`."""
