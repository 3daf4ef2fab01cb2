"""Data folders of releases, as ``<version>.tar.xz``, which each later release opens: see
tests/studio/test_upgrade.py. A release adds its own by ``python -m tests.data``, and none is ever changed.
"""
