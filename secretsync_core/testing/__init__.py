"""What tests of stores need, shipped in the extra ``testing`` for those who write one.

:mod:`~secretsync_core.testing.conformance` is the suite that every store must pass and the only module that imports
pytest. :mod:`~secretsync_core.testing.gates`, :mod:`~secretsync_core.testing.faulty` and
:mod:`~secretsync_core.testing.canaries` stand alone.
"""
