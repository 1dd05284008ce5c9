"""A fake of GitLab's REST API, as far as CI/CD variables go; see :mod:`support.gitlab.service`."""
