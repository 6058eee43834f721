"""For all tests: random examples are not timed, since the machine may be busy with something else.

And Ctrl-C means what it says, though whoever started the tests had it ignored (``make test &``): what is started
inherits that.
"""

import signal

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

signal.signal(signal.SIGINT, signal.default_int_handler)
