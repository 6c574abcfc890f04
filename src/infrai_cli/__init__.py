"""The ``infrai`` command: the one place that puts client, adapters and runtime together.

Every command is a module with ``add_arguments(parser)`` and ``run(args) -> int`` (the exit code); it is imported only
when it is asked for, so that ``infrai chat`` does not need what ``infrai demo`` needs.
"""
