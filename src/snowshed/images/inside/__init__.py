"""Images made inside a builder, for hosts without apt: the builder's guest gets what it needs from Debian, and runs
this very package there.

`host` is this end, `__main__` the one in the guest; `order` is what they say to each other, `luggage` what is sent
along. ``receive``, ``run`` and ``work`` are the guest's shell scripts: everything that happens before Python is there.
"""
